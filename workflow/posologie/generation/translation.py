"""Translation of items, with any backend: question, context, options and answer; the gold never changes.

python -m posologie.generation.translation --backend KIND --spec TranslationSpec --source SHARD.parquet
    [--prompt FILE] [--backbone MANIFEST] [--part NUMBER/PARTS] --items OUT.parquet --rejects OUT.parquet
    --report OUT.json --work DIR [--running JSON]

KIND is causal, seq2seq, openai_endpoint or engine: that of the translator's backend. A chat model gets a prompt and the
texts of an item together as JSON; seq2seq gets them one by one. Without `--part` the outputs are those of the whole
split; the outputs of parts go through `posologie.generation.gather`. `--running` changes no item.
"""

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from posologie.backends.asking import Asking, add_asking_arguments, asking
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.prompts import Prompt, read_prompt
from posologie.backends.texts import MalformedError, Problem, json_schema, packed, read_reply
from posologie.generation.parts import add_part_argument, part_of
from posologie.generation.spec import TranslationSpec, Translator
from posologie.generation.translation_checks import (
    Fields,
    Languages,
    fields_of,
    joined,
    match_of,
    problem_of,
    problem_of_whole,
)
from posologie.records.files import write_json, write_parquet
from posologie.records.items import LABELS, Item, descent, items_to_table, read_item_table, stable_id, table_to_items
from posologie.running.commands import parser, run
from posologie.running.errors import InputError


class _Option(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str
    text: str


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str
    context: str
    options: list[_Option]
    answer: str


class ChatTranslation:
    """How items are put to a chat model."""

    def __init__(self, translator: Translator, prompt: Prompt) -> None:
        """Take the prompt.

        Raises:
            InputError: if it is in another language than the translations, or has no section for the repair.
        """
        if prompt.language != translator.target_language or "repair" not in prompt.sections:
            raise InputError(
                f"prompt {prompt.name}: language '{prompt.language}', sections {', '.join(prompt.sections)}; expected"
                f" language '{translator.target_language}' and a section '== repair'"
            )
        self.translator, self.prompt = translator, prompt
        self.schema = json_schema(_Form)

    def pieces(self, fields: Fields) -> list[Fields]:
        """Return an item in pieces: all of it, unless its context is too long."""
        contexts = list(packed(fields.context, len, self.translator.longest_piece)) or [""]
        whole = Fields(fields.question, contexts[0], fields.options, fields.answer)
        return [whole, *(Fields(context=context) for context in contexts[1:])]

    def requests(self, piece: Fields) -> tuple[Request, ...]:
        """Return the request for a piece."""
        options = [{"label": label, "text": text} for label, text in zip(LABELS, piece.options, strict=False)]
        content = {"question": piece.question, "context": piece.context, "options": options, "answer": piece.answer}
        turns = self.prompt.turns({"item": json.dumps(content, ensure_ascii=False, indent=1)})
        return (Request(turns, self.translator.decoding, schema=self.schema),)

    def retries(self, piece: Fields, outcomes: Sequence[Reply | Failure], problem: Problem) -> tuple[Request, ...]:
        """Return the request that shows the model its translation and what is wrong with it."""
        (first,), (outcome,) = self.requests(piece), outcomes
        reply = outcome.text if isinstance(outcome, Reply) else ""
        turns = (
            *first.turns,
            ("assistant", reply or "{}"),
            ("user", self.prompt.filled("repair", {"problems": f"- {problem}"})),
        )
        return (Request(turns, first.decoding, schema=first.schema, attempt=1),)

    def read(self, piece: Fields, outcomes: Sequence[Reply]) -> Fields | Problem:
        """Return the translated texts, white space at the ends as in the source."""
        (outcome,) = outcomes
        try:
            form = read_reply(outcome.text, _Form)
        except MalformedError as error:
            return Problem(
                "reply cut at the token limit" if outcome.finish == "length" else "malformed reply", str(error)
            )
        labels = [option.label.strip() for option in form.options]
        if problem := label_problem(labels, LABELS[: len(piece.options)]):
            return Problem("option labels", problem)
        return Fields(
            around(piece.question, form.question),
            around(piece.context, form.context),
            tuple(around(before, after.text) for before, after in zip(piece.options, form.options, strict=True)),
            around(piece.answer, form.answer),
        )


def label_problem(labels: Sequence[str], expected: Sequence[str]) -> str | None:
    """Return what is wrong with the labels of translated options, or None if they are those of the originals.

    Labels in another order are not put right: which of label and place the model meant is not known.
    """
    counts = Counter(labels)
    problems = [f"{label} is missing" for label in expected if not counts[label]]
    problems += [f"{label} stands {counts[label]} times" for label in expected if counts[label] > 1]
    problems += [f"{label[:20]!r} is no label of the original" for label in counts if label not in expected]
    if not problems and list(labels) != list(expected):
        problems.append(f"in the order {', '.join(labels)}")
    return "; ".join(problems) or None


def around(before: str, after: str) -> str:
    """Return a text between the white space that surrounds another."""
    start = before[: len(before) - len(before.lstrip())] if before.strip() else ""
    end = before[len(before.rstrip()) :] if before.strip() else ""
    return f"{start}{after.strip()}{end}"


class TextTranslation:
    """How items are put to a translation model."""

    def __init__(self, translator: Translator) -> None:
        """Take the translator."""
        self.translator = translator

    def pieces(self, fields: Fields) -> list[Fields]:
        """Return an item in pieces: question, context, options, answer, each checked and retried by itself."""
        pieces = (
            Fields(question=fields.question),
            Fields(context=fields.context),
            Fields(options=fields.options),
            Fields(answer=fields.answer),
        )
        return [piece for piece in pieces if any(piece.texts())]

    def requests(self, piece: Fields) -> tuple[Request, ...]:
        """Return one request for each text."""
        return self._requests(piece, 0)

    def retries(self, piece: Fields, outcomes: Sequence[Reply | Failure], problem: Problem) -> tuple[Request, ...]:
        """Return the requests again, to be searched with more beams."""
        return self._requests(piece, 1)

    def read(self, piece: Fields, outcomes: Sequence[Reply]) -> Fields | Problem:
        """Return the translated texts."""
        if any(outcome.finish == "length" for outcome in outcomes):
            return Problem("reply cut at the token limit")
        translated = iter(outcome.text for outcome in outcomes)
        question, context, answer, *options = (next(translated) if text else "" for text in piece.texts())
        return Fields(question, context, tuple(options), answer)

    def _requests(self, piece: Fields, attempt: int) -> tuple[Request, ...]:
        decoding = self.translator.decoding
        return tuple(Request((("user", text),), decoding, attempt=attempt) for text in piece.texts() if text)


def reject_schema() -> pa.Schema:
    """Return the schema of the rejected items."""
    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("item", "reason", "detail", "reply")])


def main(argv: list[str]) -> None:
    """Translate items."""
    arguments = parser("posologie.generation.translation", __doc__ or "")
    add_asking_arguments(arguments)
    add_part_argument(arguments)
    arguments.add_argument("--source", required=True, type=Path)
    arguments.add_argument("--prompt", type=Path)
    arguments.add_argument("--items", required=True, type=Path)
    arguments.add_argument("--rejects", required=True, type=Path)
    arguments.add_argument("--report", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = TranslationSpec.from_json(options.spec)
    manner = manner_of(spec.translator, options)
    items = list(table_to_items(part_of(read_item_table(options.source), options.part)))
    what = f"{spec.name}/{spec.source}/{spec.split}/{options.part[0]}-of-{options.part[1]}"
    with asking(spec.translator.backend, options, what) as session:
        work = _Translation(spec, manner, items, session)
        work.ask()
        translated, rejects, report = work.result()
        report |= session.described()
    write_parquet(options.items, items_to_table(translated))
    write_parquet(options.rejects, pa.Table.from_pylist(rejects, schema=reject_schema()))
    write_json(options.report, report)


def manner_of(translator: Translator, options: Namespace) -> ChatTranslation | TextTranslation:
    """Return how items are put to the backend.

    Raises:
        InputError: if a chat model comes without a prompt.
    """
    if translator.backend.kind == "seq2seq":
        return TextTranslation(translator)
    if options.prompt is None:
        raise InputError("--prompt: missing; expected the prompt file of the translation")
    return ChatTranslation(translator, read_prompt(options.prompt))


@dataclass(frozen=True)
class _Piece:
    """A piece of an item with what became of it: the accepted translation, or the problem of the last try.

    `outcomes` are those of the last try, `before` those of the first where there were two.
    """

    result: Fields | Problem
    outcomes: Sequence[Reply | Failure]
    retried: bool = False
    before: Sequence[Reply | Failure] = ()


class _Translation:
    """The items of one part of a split: asked, retried once, and read in the order of the items."""

    def __init__(
        self, spec: TranslationSpec, manner: ChatTranslation | TextTranslation, items: list[Item], session: Asking
    ) -> None:
        self.spec, self.manner, self.items, self.session = spec, manner, items, session
        self.languages = Languages(spec.translator.source_language, spec.translator.target_language)

    def ask(self) -> None:
        """Ask for every piece of every item, then once more for those that fail their checks."""
        total = sum(len(self.manner.requests(piece)) for piece in self._all_pieces())
        self.session.complete(
            (request for piece in self._all_pieces() for request in self.manner.requests(piece)), total
        )
        retries = sum(len(self._retries(piece)) for piece in self._all_pieces())
        self.session.complete(
            (request for piece in self._all_pieces() for request in self._retries(piece)), retries, "retries"
        )

    def _all_pieces(self) -> Iterator[Fields]:
        for item in self.items:
            yield from self.manner.pieces(fields_of(item))

    def _retries(self, piece: Fields) -> tuple[Request, ...]:
        outcomes = [self.session.reply(request) for request in self.manner.requests(piece)]
        result = self._read(piece, outcomes)
        if isinstance(result, Fields) or result.reason in ("failed", "withheld by the endpoint"):
            return ()
        return self.manner.retries(piece, outcomes, result)

    def _read(self, piece: Fields, outcomes: Sequence[Any]) -> Fields | Problem:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                return Problem("failed", outcome.error)
            if outcome.finish == "filtered":
                return Problem("withheld by the endpoint")
        translated = self.manner.read(piece, outcomes)
        if isinstance(translated, Fields):
            return problem_of(piece, translated, self.languages) or translated
        return translated

    def _piece(self, piece: Fields) -> _Piece:
        outcomes = [self.session.reply(request) for request in self.manner.requests(piece)]
        result = self._read(piece, outcomes)
        retries = self._retries(piece)
        if not retries:
            return _Piece(result, outcomes)
        again = [self.session.reply(request) for request in retries]
        return _Piece(self._read(piece, again), again, True, outcomes)

    def result(self) -> tuple[list[Item], list[Any], dict[str, Any]]:
        """Return the translated items, the rejected ones and the report."""
        translated: list[Item] = []
        rejects: list[Any] = []
        count: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        failed: dict[str, str] = {}
        for item in self.items:
            pieces = [self._piece(piece) for piece in self.manner.pieces(fields_of(item))]
            for piece in pieces:
                count.update(_counts(piece))
            problem = next((piece.result for piece in pieces if isinstance(piece.result, Problem)), None)
            if problem is None:
                whole = joined([piece.result for piece in pieces if isinstance(piece.result, Fields)])
                problem = problem_of_whole(fields_of(item), whole, self.languages)
            if problem is None:
                translated.append(self._item(item, whole, any(piece.retried for piece in pieces)))
                continue
            if problem.reason == "failed":
                failed[f"item {item.id}"] = problem.detail
            reasons[problem.reason] += 1
            replies = "\n".join(
                outcome.text for piece in pieces for outcome in piece.outcomes if isinstance(outcome, Reply)
            )
            rejects.append({"item": item.id, "reason": problem.reason, "detail": problem.detail, "reply": replies})
        self.session.check_failures(failed)
        return translated, rejects, self._report(translated, reasons, count)

    def _item(self, item: Item, fields: Fields, retried: bool) -> Item:
        """Return the translated item: an id of its own, the gold as it was."""
        meta = {
            **item.meta,
            "translated_from": item.id,
            "lineage": descent(item.meta, item.source, item.id, (item.question, item.context, item.options)),
            "translator": self.spec.name,
            "retried": retried,
        }
        matching = match_of(fields_of(item), fields, self.languages)
        if matching is not None:
            meta["option_certainty"] = list(matching.certainty)
        return replace(
            item,
            id=stable_id("translated", self.spec.name, item.source, item.id),
            provenance="translated",  # until a source takes it and names its component
            question=fields.question,
            context=fields.context,
            options=fields.options,
            answer=fields.answer,
            meta=meta,
        )

    def _report(self, translated: list[Item], reasons: Counter[str], count: Counter[str]) -> dict[str, Any]:
        names = ("requests", "retried_parts", "prompt_tokens", "generated_tokens")
        prompt = getattr(self.manner, "prompt", None)
        return {
            "items": len(self.items),
            "accepted": len(translated),
            "accepted_after_retry": sum(item.meta["retried"] for item in translated),
            "rejected": dict(sorted(reasons.items())),
            "backend": {name: count[name] for name in names},
            "prompt": None if prompt is None else f"{prompt.name}, version {prompt.version}, {prompt.sha256}",
        }


def _counts(piece: _Piece) -> dict[str, int]:
    outcomes = [*piece.before, *piece.outcomes]
    replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    return {
        "requests": len(outcomes),
        "retried_parts": int(piece.retried),
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "generated_tokens": sum(reply.generated_tokens for reply in replies),
    }


if __name__ == "__main__":
    run(main)
