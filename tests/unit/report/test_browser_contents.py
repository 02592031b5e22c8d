"""The item browser's data of a small study with known answers: everything that the page is handed."""

import hashlib
import shutil

import pyarrow as pa
import pytest
from browser_made import BASE, CHOSEN, LONG, NAT, QUESTIONS, answer_rows, entries, handed, match_row, write

from posologie.prediction.spec import prediction_schema
from posologie.records.files import write_parquet
from posologie.report import browser
from posologie.running.errors import InputError
from posologie.screening.matches import match_schema

pytestmark = pytest.mark.usefixtures("counted_words")


@pytest.fixture
def study(browsed_study):
    """The small study, which tests leave as it is."""
    return browsed_study


@pytest.fixture
def own_study(browsed_study, tmp_path):
    """A copy of the small study that a test may change."""
    root = tmp_path / "study"
    shutil.copytree(browsed_study[0], root)
    return root, [shard.replace(str(browsed_study[0]), str(root)) for shard in browsed_study[1]]


OPTIONS = ["à droite", "à gauche", "au centre"]
ORDERS = [["original", [0, 1, 2]], ["permuted-1", [2, 0, 1]]]


def near(item, similarity, kind="near", **mixes):
    """Return a training item near a tested one, as the page shows it."""
    gold = [int(item[1]) % 3]
    text = {"question": f"Question {item} ?", "context": "", "options": OPTIONS, "gold": gold, "answer": ""}
    facts = {"source": "stock", "split": "train", "kind": kind, "similarity": similarity, "same_answer": True}
    return {**facts, "id": item, "mixes": mixes, "text": text}


def shown_choice(item, prompts, beside=(), more=0):
    """Return a choice question as the page is handed it; what models said is in `CHOSEN`."""
    shares = {BASE: [80, 10, 10], NAT: [10, 80, 10]}
    said = [
        [[f"Réponse {place}", [place], chosen, shares[model]] for place, chosen in enumerate(CHOSEN[item.id][model])]
        for model in (BASE, NAT)
    ]
    return {
        **{name: getattr(item, name) for name in ("id", "source", "provenance", "task", "question", "group")},
        **{
            "context": item.context,
            "options": OPTIONS,
            "gold": list(item.gold),
            "answer": "",
            "suite": "exam",
            "benchmark": item.source,
        },
        **{"orders": ORDERS, "said": said, "scores": None, "prompts": prompts},
        **{"differs": False, "differing": None, "near": list(beside), "nearMore": more},
    }


def shown_question(item, **changes):
    """Return an open question as the page is handed it."""
    return {
        **{name: getattr(item, name) for name in ("id", "source", "provenance", "task", "question", "answer", "group")},
        **{"context": "", "options": [], "gold": [], "suite": "letters", "benchmark": "open"},
        **{"orders": [["original", []]], "near": [], "nearMore": 0},
        "said": [[["Du repos.", None, None, None]], [["Rien du tout.", None, None, None]]],
        **changes,
    }


def test_a_data_file_holds_everything_that_is_known_of_its_items(study, tmp_path):
    write(study, tmp_path)
    c1, c2, c3, c4, o1, o2 = QUESTIONS
    permuted = "Choix de réponses :\n(A) au centre\n(B) à droite\n(C) à gauche"
    counted_otherwise = [[["", f"{c1.question}\n\nContexte : Un homme de 40 ans.\n{permuted}"]], 26, False]
    held = [
        near("t0", 0.9, NAT=[42, 43]),
        *(near(f"t{number}", round(0.9 - number / 100, 2), NAT=[42]) for number in range(1, 5)),
    ]
    assert handed(tmp_path / "0.js", "page") == [
        0,
        [
            shown_choice(c1, [[0, 0], [2, counted_otherwise]], held, more=1),
            shown_choice(c2, [[1, 1], [3, 3]], [near("t6", 1.0, "exact")]),
        ],
    ]
    assert handed(tmp_path / "1.js", "page") == [
        1,
        [
            shown_choice(c3, [[1, 1], [3, 3]]),
            shown_choice(c4, [[1, 1], [3, [[["", f"{c4.question}\n{permuted}"]], 14, False]]]),
        ],
    ]
    base = {"judge strict": 1.0, "judge second": 0.0, "rouge2": 0.1235, "meteor": 0.5, "people": 0.375}
    assert handed(tmp_path / "2.js", "page") == [
        2,
        [
            shown_question(
                o1,
                scores=[base, {"judge strict": 1.0, "rouge2": 0.75}],
                prompts=[[4], [5]],
                differs=True,  # people rate the answer of the base model below 0.6, and the first judge calls it right
                differing=[True, False],
            ),
            shown_question(
                o2,
                scores=[
                    {"judge strict": 1.0, "judge second": 0.0, "rouge2": 0.25},
                    {"judge strict": 1.0, "people": 1.0},
                ],
                prompts=[[4], [[[["", "Question o2 ?"]], 3, False]]],
                differs=False,
                differing=[False, False],
            ),
        ],
    ]


def test_the_index_holds_a_line_of_each_item(study, tmp_path):
    write(study, tmp_path)
    [index] = handed(tmp_path / "index.js", "index")
    sums = [hashlib.sha256((tmp_path / f"{number}.js").read_bytes()).hexdigest()[:16] for number in range(3)]
    choices = "\nChoix de réponses :\n(A) \ue010\n(B) \ue011\n(C) \ue012"
    with_context, without = f"\ue000\n\nContexte : \ue001{choices}", f"\ue000{choices}"
    framed = [["user", with_context], ["user", without], ["", with_context], ["", without], ["user", "\ue000"]]
    assert index == {
        "models": ["base", "NAT"],
        "benchmarks": ["exam: native", "exam: translated", "letters: open"],
        "tasks": ["mcqu", "mcq", "oeq"],
        "perFile": 2,
        "files": sums,
        "languages": {"translated": "en"},
        "study": "small",
        "identity": hashlib.sha256("".join(sums).encode()).hexdigest()[:16],
        "frames": [[turn] for turn in [*framed, ["", "\ue000"]]],
        "audited": True,
        "seeds": 2,
        "forms": [[0], [1]],
        "ids": ["c1", "c2", "c3", "c4", "o1", "o2"],
        "beginnings": [
            *("Où se trouve le FOIE ?", LONG[:160] + "…", "é" * 160, "é" * 160 + "…"),
            *("Question o1 ?", "Question o2 ?"),
        ],
        "benchmark": [0, 0, 1, 1, 2, 2],
        "task": [0, 1, 0, 0, 2, 2],
        "marks": [
            browser.DISAGREE + browser.NEAR,  # one model is right; NAT holds near items
            0,  # both are right; the near item was left out of every mix
            browser.FLIPS,  # both are wrong, and the base model chooses by the letter
            browser.DISAGREE + browser.FLIPS,
            browser.JUDGE_DIFFERS,
            0,
        ],
        "right": ["10", "11", "00", "10", "00", "00"],
        "disagreement": [100, 0, 0, 100, 0, 0],
        "spread": [44.7, 44.7, 44.7, 44.7, 0, 0],  # of 0.8 0.1 0.1 and 0.1 0.8 0.1: 1.369 - 0.922 bits
        "difficulty": [50, 0, 100, 50, 0, 0],
        "flips": [0, 0, 50, 100, 0, 0],
    }


def test_items_are_found_by_the_different_words_of_question_options_and_answer(study, tmp_path):
    write(study, tmp_path)
    assert (tmp_path / "words.js").read_text(encoding="utf-8") == (
        'posologie.words(["ou se trouve le foie ? a droite gauche au centre",'
        '"un tres long enonce. a droite gauche au centre",'
        f'"{"e" * 160} a droite gauche au centre","{"e" * 161} a droite gauche au centre",'
        '"question o1 ? du repos, et repos.","question o2 ? rien."]);\n'
    )


def test_files_are_scripts_without_blanks_in_which_letters_stand_as_they_are(study, tmp_path):
    write(study, tmp_path)
    text = (tmp_path / "1.js").read_text(encoding="utf-8")
    assert text.startswith('posologie.page(1,[{"id":"c3","source":"translated","provenance":"english","task":"mcqu",')
    assert '"options":["à droite","à gauche","au centre"],"gold":[1],"answer":"","group":"c3",' in text


@pytest.mark.parametrize(
    ("count", "files"),
    [(1, ["c1", "c2", "c3", "c4", "o1", "o2"]), (4, ["c1 c2 c3 c4", "o1 o2"]), (5, ["c1 c2 c3 c4 o1", "o2"])],
)
def test_data_files_are_filled_one_after_the_other(study, tmp_path, count, files):
    write(study, tmp_path, items_per_file=count)
    pages = [handed(tmp_path / f"{number}.js", "page") for number in range(len(files))]
    assert [[number, " ".join(entry["id"] for entry in page)] for number, page in pages] == [
        [number, ids] for number, ids in enumerate(files)
    ]
    assert sorted(path.name for path in tmp_path.glob("[0-9]*")) == [f"{number}.js" for number in range(len(files))]


def test_a_study_of_one_suite_without_judges_people_audits_and_prompts(study, tmp_path):
    bare = {"judges": (), "ratings": {}, "languages": {}, "mixes": {}, "forms": ()}
    write(study, tmp_path, suites=("letters",), study="", **bare)
    [index] = handed(tmp_path / "index.js", "index")
    assert index["benchmarks"] == ["open"]
    assert (index["audited"], index["seeds"], index["forms"], index["frames"]) == (False, 0, [], [])
    assert "languages" not in index
    assert index["marks"] == [0, 0]
    assert index["right"] == ["00", "00"]
    by_item = entries(tmp_path, count=1)
    assert [by_item[item]["scores"] for item in ("o1", "o2")] == [
        [{"rouge2": 0.1235, "meteor": 0.5}, {"rouge2": 0.75}],
        [{"rouge2": 0.25}, None],
    ]
    assert [by_item[item]["differing"] for item in ("o1", "o2")] == [[False, False]] * 2
    assert by_item["o1"]["prompts"] == []


def test_choice_questions_need_no_ratings_and_no_scores(own_study, tmp_path):
    (own_study[0] / "human/physicians.parquet").unlink()
    write(own_study, tmp_path, suites=("exam",))
    assert list(entries(tmp_path, count=2)) == ["c1", "c2", "c3", "c4"]


def test_shares_that_a_model_does_not_tell_are_left_out(own_study, tmp_path):
    root, _ = own_study
    rows = answer_rows(BASE, QUESTIONS[:4])
    rows[0]["label_probabilities"] = None
    write_parquet(root / f"predictions/{BASE}/exam.parquet", pa.Table.from_pylist(rows, prediction_schema()))
    write(own_study, tmp_path)
    assert entries(tmp_path)["c1"]["said"][0] == [["Réponse 0", [0], [0], None], ["Réponse 1", [1], [1], [80, 10, 10]]]


def test_only_what_a_mix_holds_marks_an_item(own_study, tmp_path):
    root, _ = own_study
    rows = [
        match_row("exam", "c1", "t0", removed=True),
        match_row("exam", "c2", "t1", place="compared", removed=True),
        match_row("other", "c2", "t1", removed=True),
        match_row("exam", "c3", "t1"),
    ]
    write_parquet(root / "screened/stock/train.matches.parquet", pa.Table.from_pylist(rows, match_schema()))
    write(own_study, tmp_path, mixes={})
    [index] = handed(tmp_path / "index.js", "index")
    assert index["marks"] == [1, 0, 2, 3, 4, 0]
    by_item = entries(tmp_path)
    assert by_item["c1"]["near"] == [near("t0", 0.9)]
    assert [by_item[item]["near"] for item in ("c2", "c3")] == [[], []]


def test_data_files_that_are_no_longer_named_are_deleted_and_others_are_kept(study, tmp_path):
    for name in ("3.js", "12.js", "4.json", "7b.js", "extra.js"):
        (tmp_path / name).write_text("left by an earlier run")
    write(study, tmp_path)
    kept = ["0.js", "1.js", "2.js", "4.json", "7b.js", "extra.js", "index.js", "words.js"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_file_of_the_browser_is_read_back(study, tmp_path):
    write(study, tmp_path)
    assert browser.data_file(tmp_path / "index.js", 2) == tmp_path / "2.js"
    assert browser.read_value(tmp_path / "2.js", "page") == handed(tmp_path / "2.js", "page")
    path = tmp_path / "2.js"
    for text in ("posologie.page(2,[]", "page(2,[]);\n", "posologie.words(2,[]);\n", "posologie.page(2,[);\n"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"2\.js: not a file of the item browser"):
            browser.read_value(path, "page")


def test_an_item_that_no_shard_holds_is_refused_by_name(study, tmp_path):
    root, shards = study
    with pytest.raises(InputError, match=r"^item c3 was predicted and is in none of the shards of --items$"):
        write((root, shards[:1]), tmp_path)


def test_a_shard_that_is_named_twice_is_read_once(study, tmp_path):
    root, shards = study
    write((root, [*shards, *shards]), tmp_path)
    assert list(entries(tmp_path)) == ["c1", "c2", "c3", "c4", "o1", "o2"]


@pytest.mark.parametrize("column", ["item", "benchmark", "variant", "option_order", "gold"])
def test_models_that_were_asked_otherwise_are_refused(own_study, tmp_path, column):
    root, _ = own_study
    rows = answer_rows(NAT, QUESTIONS[:4])
    rows[3][column] = [1, 0, 2] if column == "option_order" else [1] if column == "gold" else "z"
    write_parquet(root / f"predictions/{NAT}/exam.parquet", pa.Table.from_pylist(rows, prediction_schema()))
    with pytest.raises(InputError, match=f"^{root}/predictions/{NAT}/exam.parquet: other items than those of {BASE}; "):
        write(own_study, tmp_path)


def test_rows_of_an_item_that_are_not_together_are_refused(own_study, tmp_path):
    root, _ = own_study
    for model in (BASE, NAT):
        rows = answer_rows(model, QUESTIONS[:4])
        rows = [rows[0], rows[2], rows[1], *rows[3:]]
        write_parquet(root / f"predictions/{model}/exam.parquet", pa.Table.from_pylist(rows, prediction_schema()))
    with pytest.raises(InputError, match="the rows of an item are not together"):
        write(own_study, tmp_path)


def test_an_item_may_be_asked_in_two_benchmarks(own_study, tmp_path):
    root, _ = own_study
    for model in (BASE, NAT):
        rows = answer_rows(model, QUESTIONS[:2])
        rows += [{**row, "benchmark": "z"} for row in rows]
        write_parquet(root / f"predictions/{model}/exam.parquet", pa.Table.from_pylist(rows, prediction_schema()))
    write(own_study, tmp_path, suites=("exam",))
    [_, page] = handed(tmp_path / "0.js", "page")
    assert [(entry["id"], entry["benchmark"], len(entry["said"][0])) for entry in page] == [
        ("c1", "native", 2),
        ("c2", "native", 2),
    ]
    [_, page] = handed(tmp_path / "1.js", "page")
    assert [(entry["id"], entry["benchmark"], len(entry["said"][0])) for entry in page] == [
        ("c1", "z", 2),
        ("c2", "z", 2),
    ]


def test_without_permuted_orders_no_answer_flips(own_study, tmp_path):
    root, _ = own_study
    for model in (BASE, NAT):
        rows = [row for row in answer_rows(model, QUESTIONS[:4]) if row["variant"] == "original"]
        write_parquet(root / f"predictions/{model}/exam.parquet", pa.Table.from_pylist(rows, prediction_schema()))
    write(own_study, tmp_path)
    [index] = handed(tmp_path / "index.js", "index")
    assert index["marks"] == [9, 0, 0, 1, 4, 0]
    assert index["flips"] == [0] * 6
