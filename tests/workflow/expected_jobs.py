"""Edits of a finished study, and the jobs that are expected to run after them."""

import os
import re
from contextlib import contextmanager

STUDY = ("--configfile", "config/test.yaml")
MIXES = ("NAT", "SYN", "NAT-SYN")
SUITES = ("mcqa", "oeq")
CODE, PARAMS, INPUT = "Code has changed", "Params have changed", "Updated input files"


def model(mix, seed=42):
    return "tiny/base" if mix == "base" else f"tiny/{mix}/seed-{seed}"


def drawn(*mixes, seed=42):
    return {f"draw_mix {mix} {seed}" for mix in mixes}


def trained(*mixes, seed=42):
    return {f"train_adapter tiny {mix} {seed}" for mix in mixes}


def answered(*mixes, seed=42, suites=SUITES):
    return {f"predict_{suite} {model(mix, seed)}" for mix in mixes for suite in suites}


def scored(*mixes, seed=42, suites=SUITES):
    return {f"score_predictions {model(mix, seed)} {suite}" for mix in mixes for suite in suites}


TABLES = ("mcqa", "oeq", "contrasts", "best", "position", "attribution", "leakage", "surface", "transfer")
SCORE_TABLES = {f"tabulate_{table}" for table in TABLES}
PAGE = {"draw_figures", "write_report"}
ITEMS = {"browse_items"}
END_OF_SCORES = SCORE_TABLES | PAGE | ITEMS
END_OF_RUNS = END_OF_SCORES | {"tabulate_compute"}


def after_training(*mixes, seed=42):
    """What follows when adapters are trained again."""
    return trained(*mixes, seed=seed) | answered(*mixes, seed=seed) | scored(*mixes, seed=seed) | END_OF_RUNS


def audited(*mixes, seed=42, suites=SUITES):
    return {f"audit_leakage {mix} {seed} {suite}" for mix in mixes for suite in suites}


def after_drawing(*mixes, seed=42):
    """What follows when mixes are drawn again."""
    again = drawn(*mixes, seed=seed) | audited(*mixes, seed=seed) | after_training(*mixes, seed=seed)
    return again | {"tabulate_composition"}


SCREENED_AGAIN = {"tabulate_screening", "tabulate_topics"}
TRAINING_SCREENED = {f"screen_shard {source} train" for source in ("native", "translated", "synthetic")}
EVERY_SCREENING = TRAINING_SCREENED | {"screen_shard native validation"}
EVERY_AUDIT = audited(*MIXES)
EVERY_READING = {
    f"read_hub_records {shard}"
    for shard in (
        "native train",
        "native validation",
        "native test",
        "translated train",
        "translated validation",
        "translated test",
        "synthetic train",
    )
}
EVERY_ANSWER = answered("base", *MIXES) | scored("base", *MIXES)


def instances(jobs):
    """Return each job as its rule and the values of its wildcards."""
    listed = {" ".join([job.rule, *re.findall(r"=([^,]+)", job.wildcards)]) for job in jobs}
    return listed - {"all"}


@contextmanager
def edited(project, path, change):
    """Apply a change to a file of the project, and take it back with the file's time."""
    file = project.root / path
    before, times = file.read_bytes(), (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    text = before.decode("utf-8")
    after = change(text)
    assert after != text or change is same, f"the edit of {path} changes nothing"
    file.write_text(after, encoding="utf-8")
    try:
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=times)


def same(text):
    """Only touch the file."""
    return text


def replacing(old, new):
    def change(text):
        assert old in text, f"{old!r} is not there to be edited"
        return text.replace(old, new, 1)

    return change


def appending(line):
    return lambda text: f"{text}\n\n{line}\n"


CONFIG = "config/test.yaml"
PACKAGE = "workflow/posologie"
