"""The same records in every form that is read are the same items: same ids, texts and golds."""

import gzip
import io
import json
import random

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

WORDS = [
    "foie",
    "rate",
    "rein",
    "bile",
    "2,5",
    "3.5",
    "B12",
    "(aiguë)",
    "«grave»",
    "l'os",
    '"dur"',
    "cœur",
    "<",
    ">",
    "50",
]
WORDS += [
    "%",
    "α-bloquant",
    "肝臓",
    "печень",
    "a;",
    "b,",
    "c",
    "|",
    "d",
    "et",
    "ou",
    "un",
    "(rétinol)",
    "mg/l",
    "A+",
    "O−",
]
LETTERS = "ABCDEF"


def questions(count=40, seed=3):
    """Questions of two to six options, one right, whose texts hold what separates cells and options elsewhere."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        options = []
        while len(options) < 2 + number % 5:
            option = " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 4)))
            if option not in options and not option.endswith((";", ",")) and any(map(str.isalpha, option)):
                options.append(option)
        question = f"Frage {number}: {' '.join(draw.choice(WORDS) for _ in range(5))} ?"
        rows.append((question, options, draw.randrange(len(options))))
    return rows


ROWS = questions()


def contents(shard):
    return [(item.id, item.task, item.question, item.options, item.gold) for item in shard.items]


@pytest.fixture(scope="module")
def expected_contents():
    return [("mcqu", question, tuple(options), (gold,)) for question, options, gold in ROWS]


ANSWERS = {
    "labels": lambda options, gold: LETTERS[gold],
    "small labels": lambda options, gold: f"({LETTERS[gold].lower()})",
    "index0": lambda options, gold: gold,
    "index1": lambda options, gold: gold + 1,
    "text": lambda options, gold: options[gold],
    "one_hot": lambda options, gold: [int(place == gold) for place in range(len(options))],
    "label and text": lambda options, gold: f"{LETTERS[gold]}. {options[gold]}",
}
FORMS = {"small labels": "labels", "label and text": "labels"}
LAYOUTS = {
    "list": lambda options: {"o": options},
    "map": lambda options: {"o": dict(reversed(list(zip(LETTERS, options, strict=False))))},
    "line": lambda options: {"o": " ".join(f"({LETTERS[n]}) {option}" for n, option in enumerate(options))},
    "lines": lambda options: {"o": "\n".join(f"{n + 1}) {option}" for n, option in enumerate(options))},
    "maps": lambda options: {"o": [{"t": option, "l": LETTERS[n]} for n, option in enumerate(options)]},
    "columns": lambda options: {f"o_{LETTERS[n]}": option for n, option in enumerate(options)},
    "prefixes": lambda options: {"o": [f"{LETTERS[n]}) {option}" for n, option in enumerate(options)]},
}
NAMES = {
    "maps": {"options": "o.*.t", "option_labels": "o.*.l"},
    "columns": {"options": [f"o_{letter}" for letter in LETTERS]},
}


def options_for(layout, answer):
    return {
        "question": "q",
        "answer": "k",
        "answer_form": FORMS.get(answer, answer),
        **NAMES.get(layout, {"options": "o"}),
    }


# Letters are no labels of a numbered list, and a count from 0 contradicts its numbers.
PAIRS = [
    (layout, answer)
    for layout in LAYOUTS
    for answer in ANSWERS
    if layout != "lines" or answer in ("index1", "text", "one_hot")
]


@pytest.mark.parametrize(("layout", "answer"), PAIRS)
def test_layouts_of_options_and_forms_of_answers_give_the_same_items(read, expected_contents, layout, answer):
    records = [
        {"q": question, **LAYOUTS[layout](options), "k": ANSWERS[answer](options, gold)}
        for question, options, gold in ROWS
    ]
    shard = read("columns", {"a.jsonl": records}, options=options_for(layout, answer))
    assert shard.reasons == {}
    assert [content[1:] for content in contents(shard)] == expected_contents
    lines = [{"q": q, "o": o, "k": g} for q, o, g in ROWS]
    plain = read("columns", {"b.jsonl": lines}, options=options_for("list", "index0"))
    assert contents(shard) == contents(plain)


def delimited(records, delimiter, *, quoted=False):
    import csv

    out = io.StringIO()
    names = list(dict.fromkeys(name for record in records for name in record))
    mode = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.DictWriter(out, names, delimiter=delimiter, restval="", quoting=mode, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def workbook(records):
    book = openpyxl.Workbook()
    names = list(dict.fromkeys(name for record in records for name in record))
    book.active.append(names)
    for record in records:
        book.active.append([record.get(name) for name in names])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def table(records):
    names = list(dict.fromkeys(name for record in records for name in record))
    sink = pyarrow.BufferOutputStream()
    rows = [{name: record.get(name) for name in names} for record in records]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


FILES = {
    "a.jsonl": lambda records: "".join(json.dumps(record) + "\n" for record in records),
    "a.json": lambda records: json.dumps(records, ensure_ascii=False, indent=1),
    "b.json": lambda records: "\n".join(json.dumps(record, indent=2) for record in records),
    "a.csv": lambda records: delimited(records, ","),
    "b.csv": lambda records: delimited(records, ";", quoted=True),
    "c.csv": lambda records: "\ufeff" + delimited(records, "|"),
    "d.csv": lambda records: delimited(records, ";").encode("utf-16"),
    "a.tsv": lambda records: delimited(records, "\t"),
    "a.csv.gz": lambda records: gzip.compress(delimited(records, ",").encode()),
    "a.xlsx": workbook,
    "a.parquet": table,
}


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("layout", ["columns", "line"])
def test_formats_of_files_give_the_same_items(read, expected_contents, file, layout):
    records = [{"q": question, **LAYOUTS[layout](options), "k": LETTERS[gold]} for question, options, gold in ROWS]
    shard = read("columns", {file: FILES[file](records)}, options=options_for(layout, "labels"))
    assert shard.reasons == {}
    assert [content[1:] for content in contents(shard)] == expected_contents


@pytest.mark.parametrize("file", ["a.csv", "a.xlsx", "a.tsv"])
def test_flags_in_columns_of_a_table_give_the_same_items(read, expected_contents, file):
    records = []
    for question, options, gold in ROWS:
        flags = {f"k_{LETTERS[place]}": int(place == gold) for place in range(6)}
        records.append({"q": question, **LAYOUTS["columns"](options), **flags})
    options = {**options_for("columns", "one_hot"), "answer": [f"k_{letter}" for letter in LETTERS]}
    shard = read("columns", {file: FILES[file](records)}, options=options)
    assert shard.reasons == {}
    assert [content[1:] for content in contents(shard)] == expected_contents


def test_options_in_the_question_give_the_same_items_on_lines_and_on_one_line(read, expected_contents):
    for joint in ("\n", " "):
        records = [
            {
                "q": question + joint + joint.join(f"({LETTERS[n]}) {option}" for n, option in enumerate(options)),
                "k": LETTERS[gold],
            }
            for question, options, gold in ROWS
        ]
        options = {"question": "q", "answer": "k", "answer_form": "labels", "options_in_question": True}
        shard = read("columns", {"a.jsonl": records}, options=options)
        assert shard.reasons == {}
        assert [content[1:] for content in contents(shard)] == expected_contents


def four(rows):
    return [(question, options, gold) for question, options, gold in rows if len(options) >= 4]


READERS = {
    "medqa": lambda q, o, g: {"question": q, "options": dict(zip(LETTERS, o, strict=False)), "answer_idx": LETTERS[g]},
    "medqa text": lambda q, o, g: {"question": q, "options": dict(zip(LETTERS, o, strict=False)), "answer": o[g]},
    "frenchmedmcqa": lambda q, o, g: {
        "question": q,
        "answers": dict(zip("abcdef", o, strict=False)),
        "correct_answers": ["abcdef"[g]],
    },
    "medxpertqa": lambda q, o, g: {
        "question": q,
        "options": dict(zip(LETTERS, o, strict=False)),
        "label": [LETTERS[g]],
    },
    "medxpertqa list": lambda q, o, g: {
        "question": q,
        "options": [{"letter": LETTERS[n], "content": option} for n, option in reversed(list(enumerate(o)))],
        "label": LETTERS[g],
    },
    "casimedicos": lambda q, o, g: {"question": q, "options": o, "correct": g + 1},
    "casimedicos map": lambda q, o, g: {
        "full_question": q,
        "options": {str(n + 1): option for n, option in enumerate(o)},
        "correct_option": g + 1,
    },
    "hub_records": lambda q, o, g: {
        "instruction": f"{q}\nChoix de réponses :\n" + "\n".join(f"({LETTERS[n]}) {text}" for n, text in enumerate(o)),
        "context": "",
        "answer": LETTERS[g],
        "type": "mcqu",
    },
    "hub_records line": lambda q, o, g: {
        "instruction": f"{q}\nChoix de réponses :\n" + " ".join(f"({LETTERS[n]}) {text}" for n, text in enumerate(o)),
        "context": "",
        "answer": f"({LETTERS[g]})",
        "type": "QCU",
    },
    "instruction_pairs": lambda q, o, g: {
        "instruction": f"{q}\n" + "\n".join(f"{LETTERS[n]}) {text}" for n, text in enumerate(o)),
        "output": LETTERS[g],
    },
    "frbmedqa": lambda q, o, g: {"question": q, "context": "", "candidates": o, "answer": o[g]},
    "made": lambda q, o, g: {
        "id": None,
        "question": q,
        "context": "",
        "options": o,
        "gold": [g],
        "answer": "",
        "task": "mcqu",
        "group": None,
        "meta": "{}",
    },
}


@pytest.mark.parametrize("form", READERS)
def test_readers_of_published_forms_give_the_items_that_columns_give(read, expected_contents, form):
    records = [READERS[form](question, options, gold) for question, options, gold in ROWS]
    shard = read(form.split()[0], {"Train/mcqu/train.jsonl": records})
    assert shard.reasons == {}
    assert [content[1:] for content in contents(shard)] == expected_contents


def test_medmcqa_counts_alike_from_0_and_1_and_mmlu_reads_the_same_table(read):
    rows = [(question, options[:4], gold) for question, options, gold in four(ROWS) if gold < 4]
    expected = [("mcqu", question, tuple(options), (gold,)) for question, options, gold in rows]
    for base in (0, 1):
        records = [
            {"question": q, **dict(zip(("opa", "opb", "opc", "opd"), o, strict=True)), "cop": g + base}
            for q, o, g in rows
        ]
        shard = read("medmcqa", {"train.json": FILES["a.jsonl"](records)}, options={"cop_from": base})
        assert [content[1:] for content in contents(shard)] == expected
    cells = [{"q": q, **{str(n): option for n, option in enumerate(o)}, "k": LETTERS[g]} for q, o, g in rows]
    shard = read("mmlu", {"anatomy_test.csv": delimited(cells, ",").split("\r\n", 1)[1]})
    assert [content[1:] for content in contents(shard)] == expected
