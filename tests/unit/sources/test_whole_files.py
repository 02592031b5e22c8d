"""Public files, whole, against an independent reading with csv and json alone: texts and golds, no difference."""

import csv
import html
import json
import re
import unicodedata

import pytest

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def plain(text):
    """What cleaning leaves of these files' texts, written down anew: NFC, ordinary spaces, no invisible characters."""
    text = html.unescape(html.unescape("" if text is None else str(text)))
    text = re.sub("\r\n?|[\v\f\x85\u2028\u2029]", "\n", text)
    text = "".join(" " if unicodedata.category(character) == "Zs" else character for character in text)
    text = "".join(
        character for character in text if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf")
    )
    text = unicodedata.normalize("NFC", text)
    lines = [re.sub("[ \t]+", " ", line).strip() for line in text.split("\n")]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)).strip()


def choices(options, right):
    """Options and the texts of the right ones, without the empty and the repeated."""
    texts = [plain(option) for option in options]
    distinct = list(dict.fromkeys(text for text in texts if text and text != "nan"))
    return tuple(distinct), tuple(sorted({texts[place] for place in right}))


def items_of(shard):
    return sorted(
        (item.question, item.context, item.options, tuple(sorted(item.options[place] for place in item.gold)))
        for item in shard.items
    )


def read_bytes(folder, *names):
    return {name: (folder / name).read_bytes() for name in names}


def test_headqa_in_spanish_by_a_path_and_without_its_images(read, real_data):
    files = read_bytes(real_data / "headqa_es", "HEAD-QA-test.json")
    options = {
        "records": "exams.*.data.*",
        "question": "qtext",
        "options": "answers.*.atext",
        "option_labels": "answers.*.aid",
        "answer": "ra",
        "answer_form": "labels",
        "must_be_empty": ["image"],
        "meta": ["^.category", "qid"],
    }
    shard = read("columns", files, options=options, language="es", reject_limit=0.2)
    exams = json.loads(files["HEAD-QA-test.json"])["exams"].values()
    records = [record for exam in exams for record in exam["data"]]
    expected = []
    for record in records:
        texts = {str(answer["aid"]): answer["atext"] for answer in record["answers"]}
        if not record["image"]:
            options, right = choices(texts.values(), [list(texts).index(record["ra"])])
            expected.append((plain(record["qtext"]), "", options, right))
    assert (len(records), shard.report["read"]) == (2742, 2742)
    assert sum(bool(record["image"]) for record in records) == shard.reasons["not for readers of text"] == 67
    assert items_of(shard) == sorted(expected)


def test_mmlu_in_spanish_by_its_reader_and_by_columns(read, real_data):
    names = ["anatomy_test.csv", "clinical_knowledge_test.csv", "medical_genetics_test.csv"]
    files = read_bytes(real_data / "mmlu_es", *names)
    expected = []
    for content in files.values():
        for question, *options, letter in csv.reader(content.decode().splitlines(keepends=True)):
            expected.append((plain(question), "", *choices(options, ["ABCD".index(letter)])))
    by_reader = read("mmlu", files, split="test", reject_limit=0.2)
    options = {"question": "1", "options": ["2", "3", "4", "5"], "answer": "6", "answer_form": "labels"}
    by_columns = read("columns", files, split="test", options=options, language="es", reject_limit=0.2)
    assert len(expected) == 500
    assert items_of(by_reader) == items_of(by_columns) == sorted(expected)
    assert [item.id for item in by_reader.items] == [item.id for item in by_columns.items]
    assert by_columns.report["evidence"]["warnings"] == []


def test_medqa_in_chinese(read, real_data):
    files = read_bytes(real_data / "mcmle_zh", "MedQA-MCMLE.jsonl")
    records = [json.loads(line) for line in files["MedQA-MCMLE.jsonl"].decode().splitlines() if line]
    expected, contradictory = [], 0
    for record in records:
        texts = [plain(option) for option in record["options"].values()]
        right = list(record["options"]).index(record["answer_idx"])
        assert record["options"][record["answer_idx"]] == record["answer"]
        if texts.count(texts[right]) > 1:
            contradictory += 1
            continue
        expected.append((plain(record["question"]), "", *choices(texts, [right])))
    shard = read("medqa", files, reject_limit=0.2)
    assert (shard.report["read"], contradictory) == (3426, 1)
    assert shard.reasons == {"duplicate options with different keys": 1}
    assert items_of(shard) == sorted(expected)
    options = {"question": "question", "options": "options", "answer": "answer_idx", "answer_text": "answer"}
    by_columns = read("columns", files, options={**options, "answer_form": "labels"}, language="zh", reject_limit=0.2)
    assert items_of(by_columns) == items_of(shard)


@pytest.mark.parametrize("language", ["es", "fr", "en"])
def test_casimedicos(read, real_data, language):
    files = read_bytes(real_data / "casimedicos", f"reconstructed_{language}_mcqu.jsonl")
    records = [json.loads(line) for line in next(iter(files.values())).decode().splitlines() if line]
    for split, published in (("train", "train"), ("validation", "dev"), ("test", "test")):
        expected = [
            (
                plain(record["question"]),
                plain(record["clinical_case"]),
                *choices(record["options"], [record["correct"] - 1]),
            )
            for record in records
            if record["split"] == published and any(map(str.isalpha, record["question"]))
        ]
        shard = read("casimedicos", files, split=split, language=language, reject_limit=0.2)
        assert items_of(shard) == sorted(expected)
        assert set(shard.reasons) <= {"no letters in the question"}


@pytest.mark.parametrize("name", ["train", "dev", "test"])
def test_frenchmedmcqa(read, real_data, name):
    files = read_bytes(real_data / "frenchmedmcqa", f"{name}.json")
    expected = []
    for record in json.loads(files[f"{name}.json"]):
        letters = sorted(record["answers"])
        right = [letters.index(letter) for letter in record["correct_answers"]]
        options = [record["answers"][letter] for letter in letters]
        expected.append((plain(record["question"]), "", *choices(options, right)))
    assert items_of(read("frenchmedmcqa", files, language="fr", reject_limit=0.2)) == sorted(expected)


def test_mmlu_in_english_and_the_open_questions_of_mediqal(read, real_data):
    files = read_bytes(real_data / "mmlu_en", "anatomy_test.csv", "medical_genetics_test.csv")
    expected = []
    for content in files.values():
        for question, *options, letter in csv.reader(content.decode().splitlines(keepends=True)):
            expected.append((plain(question), "", *choices(options, ["ABCD".index(letter)])))
    assert items_of(read("mmlu", files, split="test", reject_limit=0.2)) == sorted(expected)
    files = read_bytes(real_data / "mediqal", "mediqal_oeq_sample.jsonl")
    records = [json.loads(line) for line in next(iter(files.values())).decode().splitlines() if line]
    shard = read("mediqal", files, split="test", reject_limit=0.2)
    assert sorted((item.question, item.answer) for item in shard.items) == sorted(
        (plain(record["question"]), plain(record["answer"])) for record in records
    )


def test_pubmedqa(read, real_data):
    files = read_bytes(real_data / "pubmedqa", "ori_pqal.json", "test_ground_truth.json")
    records, test = (json.loads(content) for content in files.values())
    expected = [
        (
            plain(record["QUESTION"]),
            plain("\n".join(record["CONTEXTS"])),
            ("yes", "no", "maybe"),
            (record["final_decision"],),
        )
        for key, record in records.items()
        if key in test
    ]
    assert items_of(read("pubmedqa", files, split="test", reject_limit=0.2)) == sorted(expected)


def test_morfitt_is_every_abstract_line_by_line(collect, real_data):
    names = ("train.tsv", "dev.tsv", "test.tsv")
    texts = [(real_data / "morfitt" / name).read_text(encoding="utf-8").split("\n")[1:] for name in names]
    records = [line.split("\t") for lines in texts for line in lines if line]
    damaged = [key for key, abstract, _ in records if "�" in abstract]
    expected = [
        (key, plain(re.sub("</?b>", "", abstract)), labels.split("|"))  # one abstract holds bold print
        for key, abstract, labels in records
        if key not in damaged
    ]
    collection = collect("morfitt", read_bytes(real_data / "morfitt", *names))
    texts = [(json.loads(row["meta"]), row["text"]) for row in collection.items]
    assert len(damaged) == 2
    assert sorted((meta["native_id"], text, meta["specialities"]) for meta, text in texts) == sorted(expected)


def test_wmt_is_every_pair_of_lines(collect, real_data):
    names = [f"medline{year}_en2fr.{language}" for year in (19, 20) for language in ("en", "fr")]
    lines = {name: (real_data / "wmt_biomed" / name).read_text(encoding="utf-8").split("\n") for name in names}
    expected = [
        (plain(source), plain(target))
        for year in (19, 20)
        for source, target in zip(lines[f"medline{year}_en2fr.en"], lines[f"medline{year}_en2fr.fr"], strict=True)
        if plain(source) and plain(target)
    ]
    collection = collect("wmt_biomedical", read_bytes(real_data / "wmt_biomed", *names))
    assert sorted((row["source_text"], row["target_text"]) for row in collection.items) == sorted(expected)
