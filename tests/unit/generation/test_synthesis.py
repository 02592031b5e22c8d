import json
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from endpoint_server import Answer, EndpointServer, completion

from posologie.generation import gather, plan, synthesis
from posologie.generation.questions import TASKS, ChoiceQuestion, OpenQuestion, SupportedQuestion, problem_of
from posologie.generation.spec import Generator
from posologie.records.files import read_json, write_parquet
from posologie.records.items import read_items
from posologie.records.tables import document_schema
from posologie.running.errors import InputError

PROMPTS = Path(__file__).parents[3] / "resources" / "prompts" / "fr" / "synthesis"
TEXT = (
    "Une femme de 32 ans consulte pour une fièvre à 39,2 °C depuis trois jours. L'examen trouve une douleur de la fosse"
    " lombaire droite. La bandelette urinaire montre des leucocytes et des nitrites. Le diagnostic de pyélonéphrite"
    " aiguë est retenu et un traitement par ceftriaxone 1 g par jour est débuté."
)


def labelled(*texts):
    return [{"label": label, "text": text} for label, text in zip("ABCDEFGH", texts, strict=False)]


CHOICE = {
    "question": "Quel antibiotique est débuté devant une pyélonéphrite aiguë simple de la femme jeune ?",
    "options": labelled("Ceftriaxone", "Amoxicilline", "Vancomycine", "Métronidazole", "Gentamicine"),
    "answers": ["A"],
    "evidence": "un traitement par ceftriaxone 1 g par jour est débuté",
}
FACT = {
    "question": "Que montre la bandelette urinaire dans une infection urinaire ?",
    "answer": "La bandelette urinaire montre des leucocytes et des nitrites.",
    "evidence": "La bandelette urinaire montre des leucocytes et des nitrites",
}


def backend(url="http://127.0.0.1:1/v1"):
    return {"kind": "openai_endpoint", "url": url, "model": "mock", "key_variable": None}


def generator(**changed):
    return Generator.model_validate({"backend": backend(), "tasks": {"mcqu": 1}, **changed})


@pytest.mark.parametrize(
    ("form", "task", "changes", "reason"),
    [
        (ChoiceQuestion, "mcqu", {}, None),
        (ChoiceQuestion, "mcqu", {"answers": ["(a) "]}, None),
        (ChoiceQuestion, "mcqu", {"answers": ["F"]}, "answer not among the options"),
        (ChoiceQuestion, "mcqu", {"answers": []}, "number of right answers"),
        (ChoiceQuestion, "mcqu", {"answers": ["A", "E"]}, "number of right answers"),
        (ChoiceQuestion, "mcq", {"answers": ["A", "E"]}, None),
        (ChoiceQuestion, "mcq", {"answers": list("ABCDE")}, "number of right answers"),
        (ChoiceQuestion, "mcqu", {"options": CHOICE["options"][:4]}, "number of options"),
        (
            ChoiceQuestion,
            "mcqu",
            {"options": labelled("Ceftriaxone", "Amoxicilline", "amoxicilline.", "Vancomycine", "Gentamicine")},
            "options repeated or empty",
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"question": "La ceftriaxone est débutée : quel antibiotique traite la pyélonéphrite ?"},
            "question gives the answer away",
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"question": "De la ceftriaxone et de la vancomycine, laquelle traite la pyélonéphrite simple ?"},
            None,
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"question": "Which antibiotic is the best treatment of acute pyelonephritis in a young woman?"},
            "another language",
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"evidence": "la vancomycine 2 g par jour est débutée"},
            "evidence not in the document",
        ),
        (ChoiceQuestion, "mcqu", {"evidence": "Un traitement par CEFTRIAXONE … est débuté"}, None),
        (
            ChoiceQuestion,
            "mcqu",
            {"question": "D'après le texte, quel antibiotique est débuté devant une pyélonéphrite ?"},
            "refers to a text that is not shown",
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"options": [*CHOICE["options"][:4], {"label": "E", "text": "Toutes les réponses ci-dessus"}]},
            "option on the other options",
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"options": [*CHOICE["options"][:4], {"label": "E", "text": "A et B"}]},
            "option on the other options",
        ),
        (
            ChoiceQuestion,
            "mcqu",
            {"options": [*CHOICE["options"][:4], {"label": "A", "text": "Gentamicine"}]},
            "answer not among the options",
        ),
        (ChoiceQuestion, "mcqu", {"question": " "}, "empty question"),
        (ChoiceQuestion, "mcqu", {"question": "… 12 ?"}, "no letters in the question"),
        (SupportedQuestion, "factual", {}, None),
        (SupportedQuestion, "factual", {"answer": ""}, "empty answer"),
        (
            SupportedQuestion,
            "factual",
            {"answer": "La bandelette urinaire montre des leucocytes chez 87 % des malades."},
            "number not in the document",
        ),
        (
            SupportedQuestion,
            "factual",
            {"answer": "Une hématurie macroscopique avec protéinurie massive signe une glomérulonéphrite."},
            "answer not supported by the document",
        ),
        (
            SupportedQuestion,
            "factual",
            {"answer": "En tant que modèle de langue, je pense que la bandelette urinaire montre des nitrites."},
            "speaks of itself",
        ),
        (OpenQuestion, "treatment", {"answer": "Une antibiothérapie adaptée et une surveillance de 10 jours."}, None),
    ],
)
def test_a_question_is_accepted_or_rejected_for_its_reason(form, task, changes, reason):
    reply = {**(CHOICE if form is ChoiceQuestion else FACT), **changes}
    question = form.model_validate({name: reply[name] for name in form.model_fields})
    problem = problem_of(question, TASKS[task], generator(), TEXT)
    assert (problem and problem.reason) == reason


def documents(folder, count):
    rows = [
        {
            "id": f"d{number}",
            "collection": "cas",
            "title": "",
            "text": f"{TEXT} Dossier {number}.",
            "group": f"d{number}",
            "meta": "{}",
        }
        for number in range(count)
    ]
    write_parquet(folder / "documents.parquet", pa.Table.from_pylist(rows, schema=document_schema()))
    return folder / "documents.parquet"


def reply(*questions):
    return Answer(completion(json.dumps({"questions": questions})))


def number_of(body):
    return int(re.search(r"Dossier (\d+)", body["messages"][1]["content"]).group(1))


async def author(body, before):
    """Answer well, except for some documents, of which some learn from the repair."""
    number, repairing = number_of(body), len(body["messages"]) > 2
    if (
        "réponse en une à trois phrases" in body["messages"][1]["content"]
        or "avec leur réponse en" in body["messages"][1]["content"]
    ):
        return reply({**FACT, "question": f"Que montre la bandelette urinaire du dossier {number} ?"})
    own = {**CHOICE, "question": f"{CHOICE['question'][:-1]}, cas {number} ?"}
    second = {**own, "question": f"Lequel de ces antibiotiques traite une pyélonéphrite aiguë, cas {number} ?"}
    match number % 6:
        case 1:
            return reply(own, second) if repairing else Answer(completion("désolé"))
        case 2:
            return reply(own, {**second, "answers": ["H"]})
        case 3:
            return reply(own)
        case 4:
            return Answer(completion("", finish_reason="content_filter"))
        case 5:
            return Answer(completion('{"questions": [{"ques', finish_reason="length"))
    return reply(own, second)


def run_synthesis(server, folder, part="1/1", tasks=None, running=None):
    tasks = tasks or {"mcqu": 2, "factual": 1}
    spec = {"name": "made", "collection": "cas", "generator": {"backend": backend(server.url), "tasks": tasks}}
    name = part.replace("/", "-")
    outputs = {
        kind: folder / f"{kind}-{name}.{end}"
        for kind, end in (("items", "parquet"), ("rejects", "parquet"), ("report", "json"))
    }
    prompts = [f"{task}={PROMPTS}/{task}.md" for task in tasks]
    synthesis.main(
        [
            *("--backend", "openai_endpoint"),
            *("--spec", json.dumps(spec), "--documents", str(folder / "documents.parquet"), "--prompts", *prompts),
            *("--part", part, "--work", str(folder / "work"), "--running", json.dumps(running or {})),
            *(text for kind, path in outputs.items() for text in (f"--{kind}", str(path))),
        ]
    )
    return outputs


def test_what_is_asked_is_accepted_or_rejected_and_the_report_says_why(tmp_path, monkeypatch):
    documents(tmp_path, 12)
    with EndpointServer(author) as server:
        outputs = run_synthesis(server, tmp_path)
    items, rejects = read_items(outputs["items"]), pq.read_table(outputs["rejects"]).to_pylist()
    report = read_json(outputs["report"])
    choice = report["tasks"]["mcqu"]
    assert choice["asked"] == 24 == choice["accepted"] + sum(choice["rejected"].values())
    assert choice["rejected"] == {
        "answer not among the options": 2,
        "reply cut at the token limit": 4,
        "too few questions": 2,
        "withheld by the endpoint": 4,
    }
    assert choice["accepted_after_repair"] == 4
    assert report["tasks"]["factual"]["accepted"] == 12
    assert report["backend"]["repairs"] == 8
    assert len(items) == choice["accepted"] + 12
    assert Counter(row["reason"] for row in rejects) == choice["rejected"]
    for item in items:
        assert item.problem() is None
        assert (item.provenance, item.source, item.split) == ("synthetic", "made", "train")
        if item.task == "mcqu":
            assert [item.options[index] for index in item.gold] == ["Ceftriaxone"]
            assert item.context == ""
    letters = Counter(item.gold[0] for item in items if item.task == "mcqu")
    assert len(letters) > 2, "the right option does not stay first, where the model wrote it"


def test_parts_gathered_are_the_whole_whatever_the_order(tmp_path):
    documents(tmp_path, 12)
    with EndpointServer(author) as server:
        whole = run_synthesis(server, tmp_path)
        asked = len(server.requests)
        parts = [run_synthesis(server, tmp_path, f"{number}/5") for number in (1, 2, 3, 4, 5)]
        assert len(server.requests) == asked, "other parts ask for nothing new"
    gathered = []
    for order in (parts, parts[::-1]):
        names = {kind: tmp_path / f"all-{kind}-{len(gathered)}" for kind in ("items", "rejects", "report")}
        gather.main(
            [
                *("--items", *(str(part["items"]) for part in order), "--out-items", str(names["items"])),
                *("--rejects", *(str(part["rejects"]) for part in order), "--out-rejects", str(names["rejects"])),
                *("--reports", *(str(part["report"]) for part in order), "--out-report", str(names["report"])),
            ]
        )
        gathered.append([names[kind].read_bytes() for kind in names])
    assert gathered[0] == gathered[1]
    assert sorted(read_items(names["items"]), key=str) == sorted(read_items(whole["items"]), key=str)
    assert read_json(names["report"]) == read_json(whole["report"])


def test_a_failed_request_ends_the_command_unless_it_is_tolerated(tmp_path):
    async def one_down(body, before):
        return Answer(b"", status=500) if number_of(body) == 0 else await author(body, before)

    documents(tmp_path, 12)
    quick = {"attempts": 2, "longest_wait_seconds": 0.01}
    with EndpointServer(one_down) as server:
        with pytest.raises(InputError, match=r"2 of \d+ requests failed, the first for document d0"):
            run_synthesis(server, tmp_path, running=quick)
        asked = len(server.requests)
        outputs = run_synthesis(server, tmp_path, running={**quick, "tolerated_failures": 0.2})
        assert len(server.requests) == asked + 2 * 2, "only the failed requests are asked again"
    rejects = pq.read_table(outputs["rejects"]).to_pylist()
    assert [row["document"] for row in rejects if row["reason"] == "failed"] == ["d0"] * 3
    assert read_json(outputs["report"])["backend"]["failed_requests"] == 2


def test_the_plan_names_requests_tokens_and_money_and_sends_nothing(tmp_path, capsys):
    source = documents(tmp_path, 30)
    spec = {"name": "made", "collection": "cas", "generator": {"backend": backend(), "tasks": {"mcqu": 2}}}
    arguments = [
        *("generated", "--spec", json.dumps(spec), "--documents", str(source), "--work", str(tmp_path / "work")),
        *("--prompts", f"mcqu={PROMPTS}/mcqu.md", "--plan", str(tmp_path / "plan.json")),
        *("--running", '{"price_prompt": 2, "price_generated": 10}'),
    ]
    plan.main(arguments)
    first = read_json(tmp_path / "plan.json")
    assert (first["requests"], first["answered"]) == (30, 0)
    assert first["generated_tokens"] == 30 * 2048
    assert first["money"] == pytest.approx((first["prompt_tokens"] * 2 + first["generated_tokens"] * 10) / 1e6)
    assert "30 (0 answered already)" in capsys.readouterr().out
    with EndpointServer(author) as server:
        spec["generator"]["backend"] = backend(server.url)
        documents(tmp_path, 24)
        run_synthesis(server, tmp_path, tasks={"mcqu": 2})
        documents(tmp_path, 30)
        plan.main([*arguments[:2], json.dumps(spec), *arguments[3:]])
    later = read_json(tmp_path / "plan.json")
    assert (later["requests"], later["answered"]) == (30, 24)
    assert later["generated_tokens"] == 6 * 5
    assert "replies in" in later["basis"]


def test_a_prompt_that_is_missing_or_of_another_language_is_named(tmp_path):
    documents(tmp_path, 1)
    spec = {"name": "made", "collection": "cas", "generator": {"backend": backend(), "tasks": {"mcqu": 1}}}
    common = ["--documents", str(tmp_path / "documents.parquet"), "--work", str(tmp_path / "work")]
    with pytest.raises(InputError, match="task 'mcqu': no prompt"):
        plan.main(["generated", "--spec", json.dumps(spec), *common, "--prompts", f"mcq={PROMPTS}/mcq.md"])
    spec["generator"]["language"] = "es"
    with pytest.raises(InputError, match="language 'fr'; expected 'es'"):
        plan.main(["generated", "--spec", json.dumps(spec), *common, "--prompts", f"mcqu={PROMPTS}/mcqu.md"])


FAULTS = (
    Answer(b'{"error": {"message": "slow down"}}', status=429, headers={"retry-after": "0.01"}),
    Answer(b"oops", status=500),
    Answer(completion("lost"), cut=True),
    Answer(silent=True),
    Answer(b'{"choices": [{"message": {"content": "half'),
    Answer(b'{"object": "list", "data": []}'),
    Answer(completion("late"), delay=30),
)


def test_under_a_hostile_server_every_question_is_accepted_rejected_or_failed(tmp_path):
    """Each first attempt meets a fault, document 0 never gets a reply, and the author writes as badly as ever."""

    answered = []

    async def hostile(body, before):
        number = number_of(body)
        if number == 0:
            return Answer(b"", status=503)
        if not before:
            return FAULTS[number % len(FAULTS)]
        answered.append(json.dumps(body))
        return await author(body, before)

    documents(tmp_path, 21)
    running = {"attempts": 3, "longest_wait_seconds": 0.02, "timeout_seconds": 2, "tolerated_failures": 0.1}
    with EndpointServer(hostile) as server:
        outputs = run_synthesis(server, tmp_path, running=running)
        assert len(answered) == len(set(answered)) > 40, "nothing was paid twice"
        asked = len(server.requests)
        again = run_synthesis(server, tmp_path, running=running)
        assert len(server.requests) == asked + 2 * 3, "only what failed is asked again"
    rejects = pq.read_table(outputs["rejects"]).to_pylist()
    assert len(read_items(outputs["items"])) + len(rejects) == 21 * 3
    assert {row["document"] for row in rejects if row["reason"] == "failed"} == {"d0"}
    tasks = read_json(outputs["report"])["tasks"].values()
    assert all(task["asked"] == task["accepted"] + sum(task["rejected"].values()) for task in tasks)
    assert [again[kind].read_bytes() for kind in again] == [outputs[kind].read_bytes() for kind in outputs]
