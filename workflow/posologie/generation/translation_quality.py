"""The command behind a translator's version of parallel text, with any backend.

python -m posologie.generation.translation_quality --backend KIND --spec QualitySpec --pairs
    TEST_SET=PAIRS.parquet… [--prompt FILE] [--backbone MANIFEST] --sentences OUT.parquet --run OUT.json
    --work DIR [--running JSON]

KIND is causal, seq2seq, openai_endpoint or engine; all but seq2seq take a prompt with a place for {text}. The
table is made by `posologie.generation.translation_quality_table`.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.backends.asking import add_asking_arguments, asking
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.prompts import Prompt, read_prompt
from posologie.generation.spec import Translator
from posologie.generation.translation_quality_spec import QualitySpec, sentence_schema
from posologie.records.files import write_parquet
from posologie.records.runs import Run
from posologie.records.tables import read_pairs
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Translate parallel text."""
    arguments = parser("posologie.generation.translation_quality", __doc__ or "")
    add_asking_arguments(arguments)
    arguments.add_argument("--pairs", required=True, nargs="+", type=named_path, metavar="TEST_SET=PAIRS")
    arguments.add_argument("--prompt", type=Path)
    arguments.add_argument("--sentences", required=True, type=Path)
    arguments.add_argument("--run", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = QualitySpec.from_json(options.spec)
    inputs = {
        **dict(options.pairs),
        **{name: path for name in ("prompt", "backbone") if (path := getattr(options, name))},
    }
    run = Run("generation.translation_quality", spec, inputs)
    rows = parallel_rows(dict(options.pairs), spec.translator)
    prompt = prompt_of(spec.translator, options)
    requests = [request_for(row["source"], spec.translator, prompt) for row in rows]
    with asking(spec.translator.backend, options, f"{spec.name}/parallel") as session:
        session.complete(iter(requests), len(requests), "segments")
        outcomes = [session.reply(request) for request in requests]
        failed = {
            row["id"]: outcome.error
            for row, outcome in zip(rows, outcomes, strict=True)
            if isinstance(outcome, Failure)
        }
        session.check_failures(failed)
        of_backend = session.facts()
    table = [{**row, **_columns(outcome)} for row, outcome in zip(rows, outcomes, strict=True)]
    write_parquet(options.sentences, pa.Table.from_pylist(table, schema=sentence_schema()))
    facts = {name: sum(row[name] for row in table) for name in ("prompt_tokens", "generated_tokens")}
    run.write(options.run, segments=len(table), **facts, **of_backend)


def parallel_rows(files: dict[str, str], translator: Translator) -> list[dict[str, Any]]:
    """Return the segments of parallel text, by test set and id.

    Raises:
        InputError: if a test set is between other languages than the translator's.
    """
    rows = []
    for test_set, path in sorted(files.items()):
        for pair in read_pairs(path).sort_by("id").to_pylist():
            languages = (pair["source_language"], pair["target_language"])
            if languages != (translator.source_language, translator.target_language):
                expected = f"{translator.source_language} to {translator.target_language}"
                raise InputError(f"{path}: {languages[0]} to {languages[1]}; expected {expected}")
            texts = {"source": pair["source_text"], "reference": pair["target_text"]}
            rows.append({"test_set": test_set, "id": pair["id"], "group": pair["group"], **texts})
    return rows


def request_for(text: str, translator: Translator, prompt: Prompt | None) -> Request:
    """Return the request for one segment."""
    turns = (("user", text),) if prompt is None else prompt.turns({"text": text})
    return Request(turns, translator.decoding)


def prompt_of(translator: Translator, options: Namespace) -> Prompt | None:
    """Return the prompt for plain text, or None for a sequence-to-sequence model.

    Raises:
        InputError: if a chat model comes without one.
    """
    if translator.backend.kind == "seq2seq":
        return None
    if options.prompt is None:
        raise InputError("--prompt: missing; expected the prompt file for plain text")
    return read_prompt(options.prompt)


def _columns(outcome: Reply | Failure) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        return {"translation": "", "finish": "failed", "prompt_tokens": 0, "generated_tokens": 0}
    return {
        "translation": " ".join(outcome.text.split()),
        "finish": outcome.finish,
        "prompt_tokens": outcome.prompt_tokens,
        "generated_tokens": outcome.generated_tokens,
    }


if __name__ == "__main__":
    run(main)
