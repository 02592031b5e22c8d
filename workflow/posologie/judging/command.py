"""The command behind a file of judgements, with any backend.

    python -m posologie.judging.command --backend KIND --spec JSON --prompt FILE --judgements OUT.parquet --run OUT.json
        --work DIR [--running JSON] [--backbone MANIFEST]
        and either --predictions F --items SOURCE=SHARD…     a model's answers to a suite (spec: JudgingSpec)
        or         --human F [--trained-on FILE…]            a set of human ratings (spec: CalibrationSpec)

    python -m posologie.judging.command --backend engine --spec JSON --prompt FILE --work DIR [--running JSON]
        [--backbone MANIFEST] --answers SUITE=PREDICTIONS… --items SOURCE=SHARD… --judgements SUITE=OUT.parquet…
        --run SUITE=OUT.json…                                a model's answers to several suites (SuitesJudgingSpec)

KIND is causal, openai_endpoint or engine: that of the judge's backend. `--running` changes no judgement.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.backends.asking import Asking, add_asking_arguments, asking
from posologie.backends.interface import Request
from posologie.backends.prompts import Prompt, read_prompt
from posologie.judging.answers import calibration_schema, judgement_schema, open_answers
from posologie.judging.human import read_ratings
from posologie.judging.overlap import overlap, training_files
from posologie.judging.spec import CalibrationSpec, Judge, JudgingSpec, OutsideVerdicts, SuitesJudgingSpec
from posologie.judging.verdicts import steering, verdict
from posologie.records.files import write_parquet
from posologie.records.runs import Run
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError

_SHOWN = 20


def main(argv: list[str]) -> None:
    """Judge a model's answers to one suite or to several, or the answers that people rated."""
    if "--answers" in argv:
        _judge_suites(argv)
        return
    arguments = parser("posologie.judging.command", __doc__ or "")
    add_asking_arguments(arguments)
    arguments.add_argument("--prompt", required=True, type=Path)
    arguments.add_argument("--predictions", type=Path)
    arguments.add_argument("--items", nargs="+", type=named_path, default=[], metavar="SOURCE=SHARD")
    arguments.add_argument("--human", type=Path)
    arguments.add_argument("--trained-on", nargs="+", type=Path, default=[])
    arguments.add_argument("--judgements", required=True, type=Path)
    arguments.add_argument("--run", required=True, type=Path)
    options = arguments.parse_args(argv)
    if (options.predictions is None) == (options.human is None):
        arguments.error("either --predictions with --items, or --human")
    if options.human is None:
        _judge_answers(JudgingSpec.from_json(options.spec), options)
    else:
        _judge_rated(CalibrationSpec.from_json(options.spec), options)


def _judge_suites(argv: list[str]) -> None:
    """Judge a model's answers to several suites in one session, so that an engine is started once for them.

    Each run record states the whole job, as those of one prediction job's suites do.
    """
    arguments = parser("posologie.judging.command", __doc__ or "")
    add_asking_arguments(arguments)
    arguments.add_argument("--prompt", required=True, type=Path)
    for name in ("answers", "judgements", "run"):
        arguments.add_argument(f"--{name}", nargs="+", type=named_path, required=True, metavar="SUITE=FILE")
    arguments.add_argument("--items", nargs="+", type=named_path, required=True, metavar="SOURCE=SHARD")
    options = arguments.parse_args(argv)
    spec = SuitesJudgingSpec.from_json(options.spec)
    if isinstance(spec.judge.backend, OutsideVerdicts):
        raise InputError("judge.backend.kind = 'outside': its verdicts come from files; expected a model")
    predictions, outputs, records = (dict(getattr(options, name)) for name in ("answers", "judgements", "run"))
    prompt = read_prompt(options.prompt)
    inputs = {f"{source}/{Path(path).stem}": path for source, path in options.items} | {"prompt": options.prompt}
    inputs |= {"backbone": options.backbone} if options.backbone else {}
    runs: dict[str, Run] = {}
    tables: dict[str, list[dict[str, Any]]] = {}
    with asking(spec.judge.backend, options, f"{spec.name}/{spec.model}") as session:
        for suite in spec.suites:
            run = Run("judging", spec.of(suite), {"predictions": predictions[suite], **inputs})
            first = next(iter(runs.values()), run)
            run.started, run.clock, run.energy_at_start = first.started, first.clock, first.energy_at_start
            runs[suite] = run
            suite_session = Asking(session.session, session.running, session.work, f"{session.what}/{suite}")
            tables[suite] = _verdicts(
                open_answers(predictions[suite], options.items), spec.judge, prompt, suite_session
            )
        of_backend = session.facts()
    for suite, table in tables.items():
        write_parquet(outputs[suite], pa.Table.from_pylist(table, schema=judgement_schema()))
        runs[suite].write(records[suite], **of_backend, **_facts(table, prompt))


def _judge_answers(spec: JudgingSpec, options: Namespace) -> None:
    shards = dict(options.items)
    inputs = {"predictions": options.predictions, **shards, "prompt": options.prompt}
    run = Run("judging", spec, {**inputs, **({"backbone": options.backbone} if options.backbone else {})})
    rows = open_answers(options.predictions, shards)
    table, facts = judged(rows, spec.judge, options, f"{spec.name}/{spec.model}/{spec.suite}")
    write_parquet(options.judgements, pa.Table.from_pylist(table, schema=judgement_schema()))
    run.write(options.run, **facts)


def _judge_rated(spec: CalibrationSpec, options: Namespace) -> None:
    trained_on = {f"trained_on {number}": path for number, path in enumerate(training_files(options.trained_on))}
    inputs = {"human": options.human, **trained_on, "prompt": options.prompt}
    run = Run("judging", spec, {**inputs, **({"backbone": options.backbone} if options.backbone else {})})
    answers = {row["answer"]: row for row in read_ratings(options.human).to_pylist()}
    rows = [answers[answer] for answer in sorted(answers)]
    table, facts = judged(rows, spec.judge, options, f"{spec.name}/calibration/{spec.set}")
    facts |= mark_overlap(table, options.trained_on)
    write_parquet(options.judgements, pa.Table.from_pylist(table, schema=calibration_schema()))
    run.write(options.run, **facts)


def mark_overlap(table: Sequence[dict[str, Any]], trained_on: Sequence[Path]) -> dict[str, Any]:
    """Mark the rated answers that a judge was trained on, and return what the run record says of them."""
    overlaps = overlap(table, trained_on)
    for row in table:
        row["excluded"] = row["question"] in overlaps.questions
        row["triple_seen"] = row["answer"] in overlaps.triples
    return {
        "excluded": sum(row["excluded"] for row in table),
        "triples_seen": len(overlaps.triples),
        "trained_on": overlaps.by_file,
    }


def judge_request(row: Mapping[str, str], judge: Judge, prompt: Prompt) -> Request:
    """Return the request for one answer; a context follows the question."""
    question = f"{row['question']}\n\n{row['context']}" if row["context"] else row["question"]
    places = {"question": question, "reference": row["reference"], "candidate": row["candidate"]}
    return Request(prompt.turns(places), judge.decoding, labels=judge.labels)


def judged(
    rows: Sequence[dict[str, Any]], judge: Judge, options: Namespace, what: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return every row with its verdict, and what the run record says of them: outcomes, tokens, the prompt."""
    prompt = read_prompt(options.prompt)
    if isinstance(judge.backend, OutsideVerdicts):
        raise InputError("judge.backend.kind = 'outside': its verdicts come from files; expected a model")
    with asking(judge.backend, options, what) as session:
        table = _verdicts(rows, judge, prompt, session)
        of_backend = session.facts()
    return table, {**of_backend, **_facts(table, prompt)}


def _verdicts(rows: Sequence[dict[str, Any]], judge: Judge, prompt: Prompt, session: Asking) -> list[dict[str, Any]]:
    """Ask for the verdict on every row, and return the rows with them."""
    session.complete((judge_request(row, judge, prompt) for row in rows), len(rows), "answers")
    table = [
        {
            **row,
            **verdict(session.reply(judge_request(row, judge, prompt)), judge, prompt.sha256),
            "steering": steering(row["candidate"], prompt),
        }
        for row in rows
    ]
    session.check_failures(
        {row.get("answer", row["item"]): row["error"] for row in table if row["outcome"] == "failed"}
    )
    return table


def _facts(table: Sequence[dict[str, Any]], prompt: Prompt) -> dict[str, Any]:
    """Return what the run record says of some verdicts and the prompt that they were asked for with."""
    return {
        **facts_of(table),
        "prompt": {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256},
        "prompt_tokens": sum(row["prompt_tokens"] for row in table),
        "generated_tokens": sum(row["generated_tokens"] for row in table),
    }


def facts_of(table: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the run record says of some verdicts."""
    outcomes = [row["outcome"] for row in table]
    steered = [row for row in table if row.get("steering")]
    return {
        "answers": len(table),
        "outcomes": {name: outcomes.count(name) for name in sorted(set(outcomes))},
        "without_probability": sum(row["probability"] is None for row in table),
        "may_steer_the_judge": {
            "count": len(steered),
            "first": [{"answer": row.get("answer", row["item"]), "found": row["steering"]} for row in steered[:_SHOWN]],
        },
    }


if __name__ == "__main__":
    run(main)
