"""The command behind translated items, whatever the backend.

python -m posologie.generation.translation.command --backend KIND --spec TranslationSpec --source SHARD.parquet
    [--prompt FILE] [--backbone MANIFEST] [--part NUMBER/PARTS] --items OUT.parquet --rejects OUT.parquet
    --report OUT.json --work DIR [--running JSON]

KIND is causal, seq2seq, openai_endpoint or engine: that of the translator's backend; all but
seq2seq take a prompt. Without `--part` the outputs are those of the whole split; the outputs of parts go through
`posologie.generation.gather`. `--running` changes no item.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.backends.asking import Asking, add_asking_arguments, asking
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.prompts import read_prompt
from posologie.backends.texts import Problem
from posologie.generation.parts import add_part_argument, part_of
from posologie.generation.spec import TranslationSpec, Translator
from posologie.generation.translation.checks import Languages, match_of, problem_of, problem_of_whole
from posologie.generation.translation.requests import ChatTranslation, Fields, TextTranslation, fields_of, joined
from posologie.records.files import write_json, write_parquet
from posologie.records.items import Item, descent, items_to_table, read_item_table, stable_id, table_to_items
from posologie.running.commands import parser, run
from posologie.running.errors import InputError


def reject_schema() -> pa.Schema:
    """Return the schema of the rejected items."""
    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("item", "reason", "detail", "reply")])


def main(argv: list[str]) -> None:
    """Translate items."""
    arguments = parser("posologie.generation.translation.command", __doc__ or "")
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
        made, rejects, report = work.result()
        report |= session.described()
    write_parquet(options.items, items_to_table(made))
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
class _Part:
    """A part of an item with what became of it: the accepted translation, or the problem of the last try.

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
        """Ask for every part of every item, then once more for those that fail their checks."""
        total = sum(len(self.manner.requests(part)) for part in self._all_parts())
        self.session.complete((request for part in self._all_parts() for request in self.manner.requests(part)), total)
        retries = sum(len(self._retries(part)) for part in self._all_parts())
        self.session.complete(
            (request for part in self._all_parts() for request in self._retries(part)), retries, "retries"
        )

    def _all_parts(self) -> Iterator[Fields]:
        for item in self.items:
            yield from self.manner.parts(fields_of(item))

    def _retries(self, part: Fields) -> tuple[Request, ...]:
        outcomes = [self.session.reply(request) for request in self.manner.requests(part)]
        result = self._read(part, outcomes)
        if isinstance(result, Fields) or result.reason in ("failed", "withheld by the endpoint"):
            return ()
        return self.manner.retries(part, outcomes, result)

    def _read(self, part: Fields, outcomes: Sequence[Any]) -> Fields | Problem:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                return Problem("failed", outcome.error)
            if outcome.finish == "filtered":
                return Problem("withheld by the endpoint")
        translated = self.manner.read(part, outcomes)
        if isinstance(translated, Fields):
            return problem_of(part, translated, self.languages) or translated
        return translated

    def _part(self, part: Fields) -> _Part:
        outcomes = [self.session.reply(request) for request in self.manner.requests(part)]
        result = self._read(part, outcomes)
        retries = self._retries(part)
        if not retries:
            return _Part(result, outcomes)
        again = [self.session.reply(request) for request in retries]
        return _Part(self._read(part, again), again, True, outcomes)

    def result(self) -> tuple[list[Item], list[Any], dict[str, Any]]:
        """Return the translated items, the rejected ones and the report."""
        made: list[Item] = []
        rejects: list[Any] = []
        count: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        failed: dict[str, str] = {}
        for item in self.items:
            parts = [self._part(part) for part in self.manner.parts(fields_of(item))]
            for one in parts:
                count.update(_counts(one))
            problem = next((one.result for one in parts if isinstance(one.result, Problem)), None)
            if problem is None:
                whole = joined([one.result for one in parts if isinstance(one.result, Fields)])
                problem = problem_of_whole(fields_of(item), whole, self.languages)
            if problem is None:
                made.append(self._item(item, whole, any(one.retried for one in parts)))
                continue
            if problem.reason == "failed":
                failed[f"item {item.id}"] = problem.detail
            reasons[problem.reason] += 1
            said = "\n".join(one.text for part in parts for one in part.outcomes if isinstance(one, Reply))
            rejects.append({"item": item.id, "reason": problem.reason, "detail": problem.detail, "reply": said})
        self.session.check_failures(failed)
        return made, rejects, self._report(made, reasons, count)

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

    def _report(self, made: list[Item], reasons: Counter[str], count: Counter[str]) -> dict[str, Any]:
        names = ("requests", "retried_parts", "prompt_tokens", "generated_tokens")
        prompt = getattr(self.manner, "prompt", None)
        return {
            "items": len(self.items),
            "accepted": len(made),
            "accepted_after_retry": sum(item.meta["retried"] for item in made),
            "rejected": dict(sorted(reasons.items())),
            "backend": {name: count[name] for name in names},
            "prompt": None if prompt is None else f"{prompt.name}, version {prompt.version}, {prompt.sha256}",
        }


def _counts(part: _Part) -> dict[str, int]:
    outcomes = [*part.before, *part.outcomes]
    replies = [outcome for outcome in outcomes if isinstance(outcome, Reply)]
    return {
        "requests": len(outcomes),
        "retried_parts": int(part.retried),
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "generated_tokens": sum(reply.generated_tokens for reply in replies),
    }


if __name__ == "__main__":
    run(main)
