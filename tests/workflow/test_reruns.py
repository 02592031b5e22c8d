"""The truth table of re-runs: for each edit, exactly which jobs run again, and why (DESIGN, section 4)."""

import json

import pytest
from expected_jobs import (
    CODE,
    CONFIG,
    END_OF_RUNS,
    END_OF_SCORES,
    EVERY_ANSWER,
    EVERY_AUDIT,
    EVERY_READING,
    EVERY_SCREENING,
    INPUT,
    ITEMS,
    MIXES,
    PACKAGE,
    PAGE,
    PARAMS,
    SCORE_TABLES,
    SCREENED_AGAIN,
    STUDY,
    TRAINING_SCREENED,
    after_drawing,
    after_training,
    answered,
    appending,
    audited,
    edited,
    instances,
    replacing,
    same,
    scored,
    trained,
)

from posologie.models.spec import Backbone, Untrained

pytestmark = pytest.mark.slow


def another_question(text):
    """Change the question of the first record whose mixes are known: the first of the file."""
    records = json.loads(text)
    records[0]["instruction"] = "Question changée : " + records[0]["instruction"]
    return json.dumps(records, ensure_ascii=False, indent=1)


TRAIN_FILE = "resources/demo/native/Train/mcq/mcq_train.json"
CORPUS_FILES = tuple(f"resources/demo/{source}/Train/mcqu/mcqu_train.json" for source in ("native", "translated"))
BACKBONE = f"fetch_model_untrained {Backbone(untrained=Untrained(corpus=CORPUS_FILES)).folder_name()}"
TEST_FILE = "resources/demo/native/Test/mcqu/mcqu_test.json"

EDITS = {
    "one mix's share": (
        CONFIG,
        replacing("NAT-SYN: {shares: {native: 1, synthetic: 1}", "NAT-SYN: {shares: {native: 1, synthetic: 2}"),
        after_drawing("NAT-SYN"),
        {"draw_mix NAT-SYN 42": PARAMS},
    ),
    "the size of a mix": (
        CONFIG,
        replacing("NAT: {shares: {native: 1}, size: 24}", "NAT: {shares: {native: 1}, size: 30}"),
        after_drawing("NAT"),
        {"draw_mix NAT 42": PARAMS},
    ),
    "a mix as prescribe writes it, beside the others": (
        CONFIG,
        replacing("mixes:\n", "mixes:\n  NAT60-SYN40:\n    shares: {native: 3, synthetic: 2}\n    size: 24\n"),
        after_drawing("NAT60-SYN40"),  # nothing else is drawn or trained
        {"draw_mix NAT60-SYN40 42": "Missing output files"},
    ),
    "bounds of the surface": (
        CONFIG,
        replacing("surface:\n", "surface:\n  bounds: {synthetic: [0, 0.5]}\n"),
        {"tabulate_surface", "draw_figures", "write_report"},
        {"tabulate_surface": PARAMS},
    ),
    "another seed of one mix": (
        CONFIG,
        replacing("training:\n", "training:\n  further_seeds: {NAT: [7]}\n"),
        after_drawing("NAT", seed=7),
        {"draw_mix NAT 7": "Missing output files"},
    ),
    "a training seed added": (
        CONFIG,
        replacing("training:\n", "training:\n  seeds: [42, 7]\n"),
        after_drawing(*MIXES, seed=7),
        {"draw_mix NAT 7": "Missing output files"},
    ),
    "the learning rate": (
        CONFIG,
        replacing("    epochs: 2\n", "    epochs: 2\n    learning_rate: 0.001\n"),
        after_training(*MIXES),
        {f"train_adapter tiny {mix} 42": PARAMS for mix in MIXES},
    ),
    "a training row of a source, in one step": (
        TRAIN_FILE,
        another_question,
        {"read_hub_records native train"} | TRAINING_SCREENED | SCREENED_AGAIN | after_drawing(*MIXES),
        {"read_hub_records native train": INPUT},
    ),
    "a training row that the backbone's tokenizer is trained on, in one step": (
        CORPUS_FILES[0],
        another_question,
        {BACKBONE, "read_hub_records native train"}
        | TRAINING_SCREENED
        | SCREENED_AGAIN
        | after_drawing(*MIXES)
        | EVERY_ANSWER,
        {BACKBONE: INPUT},
    ),
    "a source file only touched": (TRAIN_FILE, same, set(), {}),
    "a corpus only touched": (CORPUS_FILES[1], same, set(), {}),
    "the training module": (
        f"{PACKAGE}/training/loop.py",
        appending("REVISED = True"),
        after_training(*MIXES),
        {f"train_adapter tiny {mix} 42": CODE for mix in MIXES},
    ),
    "the training module only touched": (f"{PACKAGE}/training/loop.py", same, set(), {}),
    "a docstring in the training module": (
        f"{PACKAGE}/training/loop.py",
        lambda text: text.replace('"""', '"""Reworded. ', 1),
        set(),
        {},
    ),
    "the choice-metric module": (
        f"{PACKAGE}/scoring/choices.py",
        appending("REVISED = True"),
        scored("base", *MIXES) | END_OF_SCORES,
        {"score_predictions tiny/base mcqa": CODE},
    ),
    "a benchmark item, in one step": (
        TEST_FILE,
        another_question,
        {"read_hub_records native test"} | EVERY_SCREENING | SCREENED_AGAIN | after_drawing(*MIXES) | EVERY_ANSWER,
        {"read_hub_records native test": INPUT},
    ),
    "a suite added": (
        CONFIG,
        appending("  second:\n    benchmarks:\n      native: {source: native, tasks: [mcqu], limit: 5}"),
        answered("base", *MIXES, suites=("second",))
        | scored("base", *MIXES, suites=("second",))
        | audited(*MIXES, suites=("second",))
        | {"tabulate_topics"}
        | END_OF_RUNS,
        {"predict_second tiny/base": "Missing output files"},
    ),
    "device batch of prediction": (
        CONFIG,
        replacing("prediction_chunk_tokens: 8192", "prediction_chunk_tokens: 1024"),
        set(),
        {},
    ),
    "threads of training": (CONFIG, replacing("training:\n  threads: 1", "training:\n  threads: 2"), set(), {}),
    "threads of prediction": (
        CONFIG,
        replacing("  precision: float32\n  threads: 1", "  precision: float32\n  threads: 2"),
        set(),
        {},
    ),
    "the same shares in other numbers": (
        CONFIG,
        replacing("NAT-SYN: {shares: {native: 1, synthetic: 1}", "NAT-SYN: {shares: {native: 0.5, synthetic: 0.5}"),
        set(),
        {},
    ),
    "the package's version": (f"{PACKAGE}/running/installed.py", appending('__version__ = "0.2.0"'), set(), {}),
    "an error's wording": (
        f"{PACKAGE}/records/items.py",
        replacing("expected a table of items", "choose a table of items"),
        set(),
        {},
    ),
    "the heartbeat of claims": (f"{PACKAGE}/running/claims.py", replacing("BEAT = 10.0", "BEAT = 20.0"), set(), {}),
    "device batch of training": (CONFIG, replacing("training_micro_batch: 8", "training_micro_batch: 2"), set(), {}),
    "a reader added": (
        f"{PACKAGE}/sources/a_new_form.py",
        appending('"""A reader."""\nfrom posologie.sources.shards import *'),
        set(),
        {},
    ),
    "a report option added": (
        f"{PACKAGE}/report/spec.py",
        replacing('class Report(Spec):\n    """', 'class Report(Spec):\n    colour: str = "blue"\n    """'),
        PAGE | ITEMS,
        {"draw_figures": PARAMS},
    ),
    "the title": (
        CONFIG,
        replacing("title: Test of the machinery", "title: Another"),
        {"write_report"},
        {"write_report": PARAMS},
    ),
    "the level of the intervals": (
        CONFIG,
        appending("statistics:\n  level: 0.9"),
        SCORE_TABLES | PAGE,
        {"tabulate_mcqa": PARAMS},
    ),
    "the prompt": (
        CONFIG,
        appending('prompting:\n  choices_line: "Options :"'),
        after_training(*MIXES) | EVERY_ANSWER | {"tabulate_composition"},
        {"train_adapter tiny NAT 42": PARAMS, "predict_mcqa tiny/base": PARAMS},
    ),
    "a shard module, in one step": (
        f"{PACKAGE}/sources/hub_records.py",
        appending("REVISED = True"),
        EVERY_READING | EVERY_SCREENING | SCREENED_AGAIN | after_drawing(*MIXES) | EVERY_ANSWER,
        {"read_hub_records native train": CODE},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_runs_again_what_depends_on_it_and_nothing_else(finished_study, name):
    path, change, expected, reasons = EDITS[name]
    file = finished_study.root / path
    new = not file.exists()
    if new:
        file.write_text("")
    try:
        with edited(finished_study, path, change):
            jobs = finished_study.planned(*STUDY)
    finally:
        if new:
            file.unlink()
    assert instances(jobs) == expected
    reason_of = {next(iter(instances([job])), ""): job.reason for job in jobs}
    for job, reason in reasons.items():
        assert reason in reason_of[job], f"{job}: {reason_of[job]}"


@pytest.mark.parametrize("arguments", [("--cores", "1"), ("--profile", "profiles/demo"), ("--profile", "slurm")])
def test_cores_and_profiles_run_nothing_again(finished_study, arguments):
    # The demo's profile names its own study file; the last one given counts.
    assert not instances(finished_study.planned(*arguments, *STUDY))


def test_in_two_steps_a_shard_module_with_identical_output_trains_nothing(finished_study, tmp_path):
    project = finished_study.clone(tmp_path / "project")
    with edited(project, f"{PACKAGE}/sources/hub_records.py", appending("REVISED = True")):
        project.snakemake("mixes", *STUDY, "--cores", "2")
        assert not instances(project.planned(*STUDY)) & (trained(*MIXES) | answered("base", *MIXES))


def test_in_two_steps_a_benchmark_item_is_answered_again_and_nothing_trained(finished_study, tmp_path):
    project = finished_study.clone(tmp_path / "project")
    with edited(project, TEST_FILE, another_question):
        project.snakemake("mixes", *STUDY, "--cores", "2")
        jobs = instances(project.planned(*STUDY))
    # No mix draws translated items, so that the first step left this shard, which only the tables show, to the second.
    left = {"screen_shard translated train"} | SCREENED_AGAIN
    assert jobs == EVERY_ANSWER | EVERY_AUDIT | left | END_OF_RUNS


def test_in_two_steps_a_training_row_retrains_the_mixes_that_hold_it(finished_study, tmp_path):
    project = finished_study.clone(tmp_path / "project")
    with edited(project, TRAIN_FILE, another_question):
        project.snakemake("mixes", *STUDY, "--cores", "2")
        jobs = instances(project.planned(*STUDY))
    assert not jobs & trained("SYN"), "the synthetic mix holds no native item"
    assert not jobs & answered("base"), "the tested items are the same"
