"""What the shipped studies read, in small and with invented content, and what none but the French one may say."""

import json
import re

from posologie.config.load import study_document
from posologie.records.published import read_published
from studies import REPOSITORY

STUDIES = REPOSITORY / "config" / "studies"
FIELDS = ("biology", "chemistry", "medicine", "nursery", "pharmacology", "psychology")
SPANISH = ("¿Qué órgano produce la hormona {}?", ["Hígado {}", "Páncreas {}", "Riñón {}", "Tiroides {}"])


def spanish_files(folder):
    """Write what HEAD-QA, CasiMedicos and MMLU publish, in small."""
    text, options = SPANISH
    exams = {}
    for year in ("2016", "2017"):
        for field in FIELDS:
            name = f"{field}-{year}"
            rows = [
                {
                    "qid": str(number), "qtext": text.format(f"{name}-{number}"), "ra": str(number % 4 + 1),
                    "answers": [
                        {"aid": place, "atext": option.format(f"{name}-{number}")}
                        for place, option in enumerate(options, start=1)
                    ],
                    "image": "1.png" if field == "medicine" and number == 0 else "",
                }
                for number in range(6)
            ]  # fmt: skip
            exams[name] = {"name": name, "category": field, "year": year, "data": rows}
    (folder / "headqa_es").mkdir()
    (folder / "headqa_es" / "HEAD-QA-test.json").write_text(json.dumps({"language": "es", "exams": exams}))
    cases = [
        {
            "id": f"es-{number}", "subject": "X", "clinical_case": f"Mujer de {20 + number} años con fiebre.",
            "question": text.format(f"caso-{number}"), "options": [option.format(number) for option in options],
            "correct": number % 4 + 1, "split": ("train", "dev", "test")[number % 3],
        }
        for number in range(18)
    ]  # fmt: skip
    (folder / "casimedicos").mkdir()
    (folder / "casimedicos" / "reconstructed_es_mcqu.jsonl").write_text("\n".join(map(json.dumps, cases)))
    for part, asked in (("mmlu_es", SPANISH[0]), ("mmlu_en", "Which organ makes the hormone {}?")):
        (folder / part).mkdir()
        for subject in ("anatomy", "clinical_knowledge", "medical_genetics"):
            lines = [f"{asked.format(f'{subject} {number}')},w{number},x{number},y{number},z,B" for number in range(6)]
            (folder / part / f"{subject}_test.csv").write_text("\n".join(lines))


def chinese_files(folder):
    """Write what MedQA-MCMLE publishes, in small: some questions of each part of the book."""
    sources = study_document(STUDIES / "chinese-medicine.yaml")["sources"].values()
    rows = [
        {
            "question": f"下列哪一项属于{part}的第{number}个问题（　　）。",
            "options": {label: f"{word}{number}{part}" for label, word in zip("ABCD", "甲乙丙丁", strict=True)},
            "answer": f"{'甲乙丙丁'[number % 4]}{number}{part}", "meta_info": part, "answer_idx": "ABCD"[number % 4],
        }
        for source in sources
        for part in source["options"]["only"]["meta_info"]
        for number in range(8)
    ]  # fmt: skip
    (folder / "mcmle_zh").mkdir()
    (folder / "mcmle_zh" / "MedQA-MCMLE.jsonl").write_text("\n".join(map(json.dumps, rows)))


FRENCH = re.compile(
    r"\b(?:choix|réponses?|contexte|les|dans|avec|pour|une|sont|être|aux|français\w*|énoncé|je ne sais pas"
    r"|frenchmedmcqa|mediqal|medinjection|NAT|TRAD)\b",
    re.IGNORECASE,
)
"""Words of the French study, which no other may show."""


def published_numbers():
    """Return the pattern of the numbers of the published study; those of three digits are anybody's."""
    published = read_published(REPOSITORY / "resources/published/medinjection-fr.yaml")
    values = [
        value
        for aggregate in published.aggregates.values()
        for of in aggregate.values.values()
        for value in of.values()
    ]
    numbers = {f"{value:.2f}" for value in values if value > 1}
    counts = [printed.records for printed in published.records.printed.values() if printed.records >= 1000]
    numbers |= {shown for count in counts for shown in (f"{count}", f"{count:,}")}
    return re.compile(r"(?<![\d.,])(?:" + "|".join(map(re.escape, sorted(numbers))) + r")(?![\d])")


def texts_of(root):
    """Return what a reader of a study's results sees, by file: tables, page without its code, figures, items."""
    patterns = ("tables/*.csv", "tables/*.tex", "*.js", "report/items/*.js")
    texts = {path.name: path.read_text() for pattern in patterns for path in root.glob(pattern)}
    page = (root / "report" / "index.html").read_text()
    texts["index.html"] = re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL))
    svgs = root.glob("figures/*.svg")
    return texts | {path.name: " ".join(re.findall(r">([^<>]+)</text>", path.read_text())) for path in svgs}
