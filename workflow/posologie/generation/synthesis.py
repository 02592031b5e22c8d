"""Synthesis: documents become questions, with any backend.

python -m posologie.generation.synthesis --backend KIND --spec SynthesisSpec --documents DOCUMENTS.parquet
    --prompts TASK=FILE… [--backbone MANIFEST] [--part NUMBER/PARTS] --items OUT.parquet --rejects OUT.parquet
    --report OUT.json --work DIR [--running JSON]

KIND is causal, openai_endpoint or engine: that of the generator's backend. Without `--part` the outputs
are those of the whole collection; the outputs of parts go through `posologie.generation.gather`. `--running` changes no
item.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.backends.asking import Asking, add_asking_arguments, asking
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.prompts import Prompt, read_prompt
from posologie.backends.texts import MalformedError, Problem, read_reply
from posologie.generation.parts import add_part_argument, part_of
from posologie.generation.questions import (
    TASKS,
    Ask,
    ChoiceQuestion,
    Question,
    asks,
    check_prompts,
    document_text,
    problem_of,
    repair_request,
    right_options,
)
from posologie.generation.spec import SynthesisSpec
from posologie.language.languages import check_unedited
from posologie.records.files import write_json, write_parquet
from posologie.records.items import Item, document_descent, items_to_table, stable_id
from posologie.records.prompting import option_order
from posologie.records.tables import read_documents
from posologie.running.commands import named_path, parser, run


def reject_schema() -> pa.Schema:
    """Return the schema of the rejected questions; `position` counts the questions asked of one document from 0."""
    texts = [pa.field(name, pa.string(), nullable=False) for name in ("reason", "detail", "reply")]
    return pa.schema([pa.field("document", pa.string(), nullable=False), pa.field("task", pa.string(), nullable=False),
                      pa.field("position", pa.int32(), nullable=False), *texts])  # fmt: skip


def main(argv: list[str]) -> None:
    """Make items from documents."""
    arguments = parser("posologie.generation.synthesis", __doc__ or "")
    add_asking_arguments(arguments)
    add_part_argument(arguments)
    arguments.add_argument("--documents", required=True, type=Path)
    arguments.add_argument("--prompts", required=True, nargs="+", type=named_path, metavar="TASK=FILE")
    arguments.add_argument("--items", required=True, type=Path)
    arguments.add_argument("--rejects", required=True, type=Path)
    arguments.add_argument("--report", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = SynthesisSpec.from_json(options.spec)
    if spec.phrases is not None:
        check_unedited({spec.generator.language: spec.phrases})
    prompts = {task: read_prompt(path) for task, path in options.prompts}
    check_prompts(spec.generator, prompts)
    documents = part_of(read_documents(options.documents), options.part).to_pylist()
    what = f"{spec.name}/{spec.collection}/{options.part[0]}-of-{options.part[1]}"
    with asking(spec.generator.backend, options, what) as session:
        work = _Synthesis(spec, prompts, documents, session)
        work.ask()
        items, rejects, report = work.result()
        report |= session.described()
    write_parquet(options.items, items_to_table(items))
    write_parquet(options.rejects, pa.Table.from_pylist(rejects, schema=reject_schema()))
    write_json(options.report, report)


@dataclass
class Reading:
    """What one reply holds: at each position a question or the problem that it has.

    A reply that cannot be read, is too short, or never came has its problem at every missing position.
    """

    questions: dict[int, Question] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)

    def described(self) -> list[str]:
        """Return the problems as the prompt of a repair lists them."""
        if len(set(self.problems.values())) == 1 and not self.questions:
            return [str(next(iter(self.problems.values())))]
        return [f"question {position + 1}: {problem}" for position, problem in sorted(self.problems.items())]


class _Synthesis:
    """The questions of one part: asked, repaired once, and read in the order of the documents."""

    def __init__(
        self, spec: SynthesisSpec, prompts: dict[str, Prompt], documents: list[dict[str, str]], session: Asking
    ) -> None:
        self.spec, self.prompts, self.documents, self.session = spec, prompts, documents, session

    def asks(self) -> Iterator[Ask]:
        return asks(self.documents, self.spec.generator, self.prompts)

    def ask(self) -> None:
        """Put all tasks to all documents, then ask once for the repair of what cannot be accepted."""
        self.session.complete(
            (ask.request for ask in self.asks()), len(self.documents) * len(self.spec.generator.tasks)
        )
        repairs = sum(self._repair(ask) is not None for ask in self.asks())
        self.session.complete((repair for ask in self.asks() if (repair := self._repair(ask))), repairs, "repairs")

    def _repair(self, ask: Ask) -> Request | None:
        outcome = self.session.reply(ask.request)
        reading = read(outcome, ask, self.spec)
        if isinstance(outcome, Failure) or outcome.finish == "filtered" or not reading.problems:
            return None
        return repair_request(ask, outcome, reading.described(), self.prompts[ask.task])

    def result(self) -> tuple[list[Item], list[Any], dict[str, Any]]:
        """Return the items, the rejected questions and the report."""
        items: list[Item] = []
        rejects: list[Any] = []
        count: Counter[str] = Counter()
        failed: dict[str, str] = {}
        for ask in self.asks():
            reading, outcome, repaired = self._outcome(ask, count)
            if isinstance(outcome, Failure):
                failed[f"document {ask.document['id']}, {ask.task}"] = outcome.error
            for position, question in sorted(reading.questions.items()):
                prompt = self.prompts[ask.task].sha256
                items.append(item_of(question, ask, self.spec, prompt, position in repaired))
            rejects += [
                reject(ask, position, problem, outcome) for position, problem in sorted(reading.problems.items())
            ]
        self.session.check_failures(failed)
        return items, rejects, _report(self, items, rejects, count)

    def _outcome(self, ask: Ask, count: Counter[str]) -> tuple[Reading, Reply | Failure, set[int]]:
        """Return what is left after the repair, the last outcome, and the positions that the repair filled."""
        outcome = self.session.reply(ask.request)
        reading = read(outcome, ask, self.spec)
        count.update(_counts(outcome))
        repair = self._repair(ask)
        if repair is None:
            return reading, outcome, set()
        second = self.session.reply(repair)
        count.update(_counts(second))
        count["repairs"] += 1
        whole = merged(reading, read(second, ask, self.spec))
        return whole, second, set(whole.questions) - set(reading.questions)


def _counts(outcome: Reply | Failure) -> dict[str, int]:
    if isinstance(outcome, Failure):
        return {"requests": 1, "failed_requests": 1}
    return {"requests": 1, "prompt_tokens": outcome.prompt_tokens, "generated_tokens": outcome.generated_tokens}


def _report(work: _Synthesis, items: list[Item], rejects: list[Any], count: Counter[str]) -> dict[str, Any]:
    """Return the yield: what was asked for is accepted + rejected, by task and by reason."""
    tasks = {}
    for task, number in sorted(work.spec.generator.tasks.items()):
        accepted = [item for item in items if item.meta["synthesis_task"] == task]
        reasons = Counter(row["reason"] for row in rejects if row["task"] == task)
        tasks[task] = {
            "asked": number * len(work.documents),
            "accepted": len(accepted),
            "accepted_after_repair": sum(item.meta["repaired"] for item in accepted),
            "rejected": dict(sorted(reasons.items())),
            "item_task": TASKS[task].task,
        }
    names = ("requests", "failed_requests", "repairs", "prompt_tokens", "generated_tokens")
    prompts = {
        task: f"{prompt.name}, version {prompt.version}, {prompt.sha256}"
        for task, prompt in sorted(work.prompts.items())
    }
    return {
        "documents": len(work.documents),
        "tasks": tasks,
        "backend": {name: count[name] for name in names},
        "prompts": prompts,
    }


def read(outcome: Reply | Failure, ask: Ask, spec: SynthesisSpec) -> Reading:
    """Return what an outcome holds of the questions that were asked for."""
    count = spec.generator.tasks[ask.task]
    if isinstance(outcome, Failure):
        return _nothing(Problem("failed", outcome.error), count)
    if outcome.finish == "filtered":
        return _nothing(Problem("withheld by the endpoint"), count)
    task = TASKS[ask.task]
    try:
        questions = read_reply(outcome.text, task.form).questions
    except MalformedError as error:
        cut = outcome.finish == "length"
        return _nothing(Problem("reply cut at the token limit" if cut else "malformed reply", str(error)), count)
    reading, document = Reading(), document_text(ask.document, spec.generator)
    earlier = set()
    for position in range(count):
        if position >= len(questions):
            reading.problems[position] = Problem("too few questions", f"{len(questions)} of {count}")
            continue
        question = questions[position]
        problem = problem_of(question, task, spec.generator, document)
        if problem is None and question.question.casefold() in earlier:
            problem = Problem("repeats another question")
        earlier.add(question.question.casefold())
        if problem is None:
            reading.questions[position] = question
        else:
            reading.problems[position] = problem
    return reading


def merged(first: Reading, second: Reading) -> Reading:
    """Return the accepted questions of the first reply, and the repaired reply's where the first had a problem."""
    whole = Reading(dict(first.questions))
    known = {question.question.casefold() for question in first.questions.values()}
    for position in first.problems:
        question = second.questions.get(position)
        if question is None:
            whole.problems[position] = second.problems[position]
        elif question.question.casefold() in known:
            whole.problems[position] = Problem("repeats another question")
        else:
            known.add(question.question.casefold())
            whole.questions[position] = question
    return whole


def item_of(question: Question, ask: Ask, spec: SynthesisSpec, prompt_sha256: str, repaired: bool) -> Item:
    """Return the item of an accepted question, its options in an order that depends on seed and item alone.

    Models write the right option first more often than not; the order in which they wrote them is not kept.
    """
    task = TASKS[ask.task]
    options = question.texts() if isinstance(question, ChoiceQuestion) else []
    identity = stable_id("generated", spec.name, ask.document["id"], ask.task, question.question, *sorted(options))
    order = option_order(identity, len(options), "generated", spec.generator.seed)
    right = right_options(question) if isinstance(question, ChoiceQuestion) else ()
    meta: dict[str, Any] = {
        "origin": ask.document["collection"],
        "document": ask.document["id"],
        "lineage": document_descent(ask.document),
        "synthesis_task": ask.task,
        "prompt": prompt_sha256,
        "repaired": repaired,
    }
    evidence = getattr(question, "evidence", "")
    if evidence:
        meta["evidence"] = evidence
    return Item(
        id=identity,
        source=spec.name,
        provenance="synthetic",  # until a source takes it and names its component
        split="train",
        task=task.task,
        question=question.question,
        context=document_text(ask.document, spec.generator) if task.shows_document else "",
        options=tuple(options[index] for index in order),
        gold=tuple(sorted(order.index(index) for index in right)),
        answer="" if isinstance(question, ChoiceQuestion) else question.answer,
        group=ask.document["group"],
        meta=meta,
    )


def reject(ask: Ask, position: int, problem: Problem, outcome: Reply | Failure) -> Mapping[str, Any]:
    """Return the row of a rejected question."""
    return {
        "document": ask.document["id"],
        "task": ask.task,
        "position": position,
        "reason": problem.reason,
        "detail": problem.detail,
        "reply": outcome.text if isinstance(outcome, Reply) else "",
    }


def _nothing(problem: Problem, count: int) -> Reading:
    return Reading(problems=dict.fromkeys(range(count), problem))


if __name__ == "__main__":
    run(main)
