import csv
import json

import pytest

from posologie.cli.commands import main

ENGLISH = [
    ("e-1", "Which of these drugs is not an antibiotic?", ["Aspirin", "Amoxicillin", "Penicillin"], "A"),
    ("e-2", "Which organ produces urine in adults?", ["Kidney", "Liver", "Heart"], "A"),
    ("e-3", "What dose of morphine is given, 5 mg or more?", ["5 mg", "10 mg", "20 mg"], "B"),
    ("e-4", "Which bone is broken most often in children?", ["Radius", "Femur", "Tibia"], "A"),
]
FRENCH = [
    ("f-1", "Lequel de ces médicaments n'est pas un antibiotique ?", ["Aspirine", "Amoxicilline", "Pénicilline"], "A"),
    ("f-2", "Quel organe produit l'urine chez l'adulte ?", ["Rein", "Foie", "Cœur"], "A"),
    ("f-3", "Quelle dose de morphine donne-t-on, 5 mg ou plus ?", ["5 mg", "10 mg", "20 mg"], "B"),
    ("f-4", "Quel os se casse le plus souvent chez l'enfant ?", ["Radius", "Fémur", "Tibia"], "A"),
]
OPTIONS = {"question": "q", "options": "choices", "answer": "key", "id": "id"}


def write(path, rows):
    lines = (json.dumps(dict(zip(("id", "q", "choices", "key"), row, strict=True))) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def run(folder, english, french, *more, options=OPTIONS):
    sides = write(folder / "en.jsonl", english), write(folder / "fr.jsonl", french)
    return main(["audit-parallel", *sides, "--options", json.dumps(options), *more])


def changed(number, **values):
    rows = [dict(zip(("id", "q", "choices", "key"), row, strict=True)) for row in FRENCH]
    rows[number] |= values
    return [tuple(row.values()) for row in rows]


def test_a_right_translation_has_no_findings(tmp_path, capsys):
    assert run(tmp_path, ENGLISH, FRENCH) == 0
    assert capsys.readouterr().out.startswith("4 pairs, 0 damaged: 0 reversed, 0 changed, 0 doubtful")


@pytest.mark.parametrize(
    ("number", "values", "severity", "reason"),
    [
        (0, {"q": "Lequel de ces médicaments est un antibiotique ?"}, "reversed", "says the opposite"),
        (1, {"choices": ["Foie", "Rein", "Cœur"]}, "reversed", "options changed places"),
        (1, {"key": "B"}, "reversed", "gold differs"),
        (1, {"choices": ["Rein", "Foie"]}, "reversed", "number of options"),
        (2, {"q": "Quelle dose de morphine donne-t-on, 50 mg ou plus ?"}, "changed", "numbers and units"),
        (1, {"choices": ["Kidney", "Foie", "Cœur"]}, "changed", "untranslated"),
    ],
)
def test_a_damaged_item_is_named_with_what_is_wrong(tmp_path, capsys, number, values, severity, reason):
    output = tmp_path / "damaged.csv"
    assert run(tmp_path, ENGLISH, changed(number, **values), "--json", "--output", str(output)) == 1
    (row,) = csv.DictReader(output.open(encoding="utf-8"))
    assert (row["a"], row["severity"], row["reason"]) == (f"en.jsonl:{number + 1}", severity, reason)
    content = json.loads(capsys.readouterr().out)
    assert content["damaged"][severity] == 1
    (file,) = content["files"]
    assert file["findings"][0]["detail"] == row["detail"]


def test_rejected_rows_do_not_shift_the_rows_after_them(tmp_path, capsys):
    english = [ENGLISH[0], ("e-x", "", ["a", "b"], "A"), *ENGLISH[1:]]
    french = [FRENCH[0], ("f-x", "Laquelle ?", ["a", "b"], "A"), *FRENCH[1:]]
    assert run(tmp_path, english, french) == 0
    assert "only in B: fr.jsonl:2" in capsys.readouterr().out


def test_items_of_files_in_another_order_are_paired_by_the_shared_part_of_their_ids(tmp_path, capsys):
    assert run(tmp_path, ENGLISH, FRENCH[::-1], "--id-pattern", r"(\d+)$") == 0
    assert run(tmp_path, ENGLISH, FRENCH[::-1], "--id-pattern", r"(\d+)$", "--json") == 0
    assert '"by": "id"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "id"], "no item of A and B has the same id"),
        (["--languages", "en", "xx"], "--languages xx: unknown"),
        (["--id-pattern", "("], "not a regular expression"),
        (["--id-pattern", "x"], "has 0 groups; expected one"),
        (["--output", "x.txt"], "ends in .csv or .json"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, capsys, arguments, message):
    assert run(tmp_path, ENGLISH, FRENCH, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_files_of_other_lengths_without_ids_are_refused(tmp_path, capsys):
    assert run(tmp_path, ENGLISH, FRENCH[1:]) == 2
    assert "A has 4 rows, B has 3" in capsys.readouterr().err


def test_rows_that_speak_of_other_things_are_refused_instead_of_called_damaged(tmp_path, capsys):
    subjects = (
        ("kidney", "heart", "liver", "brain", "blood", "skin"),
        ("rein", "cœur", "foie", "cerveau", "sang", "peau"),
    )
    english, french = (
        [
            (f"{number}", pattern.format(organ, number), ["5 mg", "10 mg"], "A")
            for number, organ in enumerate(organs * 5)
        ]
        for organs, pattern in (
            (subjects[0], "Which disease of the {} has the highest mortality after {} years of treatment?"),
            (subjects[1], "Quelle maladie du {} a la plus forte mortalité après {} ans de traitement ?"),
        )
    )
    cold = "Pourquoi faut-il laver les mains avec du savon dans une école primaire en hiver ?"
    french[10:20] = [(row[0], cold, *row[2:]) for row in french[10:20]]
    without = {name: column for name, column in OPTIONS.items() if name != "id"}
    assert run(tmp_path, english, french, options=without) == 2
    assert "pairs by row are of different questions" in capsys.readouterr().err


def test_folders_are_compared_file_by_file(tmp_path, capsys):
    for folder, rows in (("en", ENGLISH), ("fr", FRENCH)):
        (tmp_path / folder).mkdir()
        with open(tmp_path / folder / "anatomy_test.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([question, *options, key] for _, question, options, key in rows)
    sides = [str(tmp_path / "en"), str(tmp_path / "fr")]
    assert main(["audit-parallel", *sides, "--reader", "mmlu"]) == 0
    assert "4 pairs, 0 damaged" in capsys.readouterr().out
    (tmp_path / "fr/anatomy_test.csv").rename(tmp_path / "fr/other_test.csv")
    assert main(["audit-parallel", *sides, "--reader", "mmlu"]) == 2
    assert "no file has the same name in both" in capsys.readouterr().err


@pytest.mark.real_data
def test_of_a_published_translation_the_item_with_exchanged_options_is_found(real_data, capsys):
    sides = [str(real_data / name / "anatomy_test.csv") for name in ("mmlu_en", "mmlu_es")]
    assert main(["audit-parallel", *sides, "--reader", "mmlu", "--languages", "en", "es", "--json"]) == 1
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["pairs"] == 135
    exchanged = {finding["a"] for finding in file["findings"] if finding["reason"] == "options changed places"}
    assert exchanged == {"anatomy_test.csv:34"}
