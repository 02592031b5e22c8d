"""A study that makes its own data, and the two servers' worth of answers that it gets."""

import json
import re

ABSTRACTS = (
    "L'aspirine à {dose} mg réduit le risque d'infarctus chez {count} patients suivis pendant cinq ans en cardiologie.",
    "La metformine à {dose} mg améliore l'équilibre glycémique de {count} malades atteints d'un diabète de type deux.",
    "Le paracétamol à {dose} mg soulage la douleur postopératoire de {count} personnes opérées de la hanche à Lyon.",
)
"""Documents in the form of MORFITT, each with a dose that a question can be about."""

ENGLISH = (
    "Which drug is given first for a urinary infection with fever and back pain, at {dose} mg per day?",
    ("Ceftriaxone", "Amoxicillin", "Morphine", "Insulin"),
)
FRENCH = (
    "Quel médicament donner en premier pour une infection urinaire avec fièvre et mal au dos, à {dose} mg par jour ?",
    ("Ceftriaxone", "Amoxicilline", "Morphine", "Insuline"),
)


def write_study(root, url, count=9):
    """Write documents, English questions, parallel text and the study into a copy of the project."""
    data = root / "data"
    data.mkdir()
    rows = [ABSTRACTS[n % 3].format(dose=100 + 25 * n, count=200 + n) for n in range(count)]
    lines = [f"m{n}\t{text}\tcardiologie" for n, text in enumerate(rows)]
    (data / "documents").mkdir()
    (data / "documents/train.tsv").write_text("identifier\tabstract\tspecialities\n" + "\n".join(lines) + "\n", "utf-8")
    (data / "english").mkdir()
    csv = [f'"{ENGLISH[0].format(dose=50 + n)}",{",".join(ENGLISH[1])},{"ABCD"[n % 4]}' for n in range(count)]
    (data / "english/made_dev.csv").write_text("\n".join(csv) + "\n", "utf-8")
    (data / "parallel").mkdir()
    (data / "parallel/set.en").write_text("".join(ENGLISH[0].format(dose=n) + "\n" for n in range(8)), "utf-8")
    (data / "parallel/set.fr").write_text("".join(FRENCH[0].format(dose=n) + "\n" for n in range(8)), "utf-8")
    backend = {"kind": "openai_endpoint", "url": url, "model": "made", "key_variable": None}
    running = {"concurrency": 4, "price_prompt": 2, "price_generated": 10, "budget_money": 5}
    tiny = {"untrained": {"corpus": ["resources/demo/native/Train/mcqu/mcqu_train.json"]}}
    study = {
        "study": "made",
        "language": "fr",
        "collections": {
            "abstracts": {"reader": "morfitt", "path": "data/documents", "files": ["train.tsv"]},
            "parallel": {"reader": "wmt_biomedical", "path": "data/parallel"},
        },
        "generators": {
            "writer": {"backend": backend, "tasks": {"mcqu": 1}, "options": 4, "collections": ["abstracts"],
                       "part_size": 4, "running": running},
        },
        "translators": {
            "translator": {"backend": backend, "sources": ["english"], "part_size": 5, "running": running},
        },
        "sources": {
            "english": {"provenance": "translated", "mixed": False, "reader": "mmlu", "path": "data/english",
                        "splits": ["train"], "files": {"train": ["*_dev.csv"]}},
            "french": {"provenance": "translated", "from": "translated/translator/english", "splits": ["train"]},
            "written": {"provenance": "synthetic", "from": "generated/writer/abstracts", "splits": ["train"]},
            "native": {"provenance": "native", "path": "resources/demo/native"},
        },
        "screening": {"mode": "off"},
        "mixes": {"TRAD-SYN": {"shares": {"translated": 1, "synthetic": 1}, "size": 8}},
        "suites": {
            "mcqa": {"benchmarks": {"native": {"source": "native", "tasks": ["mcqu"]}}},
            "open": {"benchmarks": {"native": {"source": "native", "tasks": ["oeq"], "limit": 7}}},
        },
        "judges": {"reader": {"backend": backend, "running": running}},
        "judging": {"chosen": "reader"},
        "backbones": {"tiny": tiny},
        "devices": {"gpus_per_training_job": 0, "gpus_per_prediction_job": 0},
        "prediction": {"threads": 1},
    }  # fmt: skip
    (root / "config/made.yaml").write_text(json.dumps(study), "utf-8")  # JSON is YAML


def reply_to(body):
    """Return what a careful writer and translator would answer to a request of this study."""
    text = body["messages"][1]["content"]
    if "<document>" in text:
        return _question_on(re.search(r"<document>\n(.*)\n</document>", text, re.DOTALL)[1])
    if '"question"' in text:
        item, _ = json.JSONDecoder().raw_decode(text[text.index("{") :])
        dose = re.search(r"\d+", item["question"])[0]
        options = [
            {"label": option["label"], "text": FRENCH[1][ENGLISH[1].index(option["text"])]}
            for option in item["options"]
        ]
        return json.dumps({"question": FRENCH[0].format(dose=dose), "context": "", "options": options, "answer": ""})
    return FRENCH[0].format(dose=re.findall(r"at (\d+) mg", text)[-1])


def _question_on(document):
    """Return one question on a document, which it bears out; on every fourth one, an answer that it does not."""
    dose = int(re.search(r"à (\d+) mg", document)[1])
    answer = f"{dose + 1 if dose % 100 == 0 else dose} mg"
    options = [answer, *(f"{dose + more} mg" for more in (10, 20, 30))]
    drug = re.search(r"L[ea']? ?(\w+) à", document)[1]
    question = {
        "question": f"Quelle dose de {drug} les médecins ont-ils donnée aux malades pour obtenir cet effet favorable ?",
        "options": [{"label": label, "text": text} for label, text in zip("ABCD", options, strict=True)],
        "answers": ["A"],
        "evidence": document.split(" chez ")[0].split(" l'équilibre")[0].split(" la douleur")[0],
    }
    return json.dumps({"questions": [question]})
