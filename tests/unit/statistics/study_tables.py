"""Studies of a few questions, and their tables read back."""

import csv

EM = ("em", "constrained")


def table(study, module, name="table", **spec) -> list[dict[str, str]]:
    out = study.root / "tables" / f"{name}.csv"
    main_of = module.main
    main_of(["--spec", study.spec(**spec), "--results", str(study.root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pick(rows: list[dict[str, str]], **cells: str) -> dict[str, str]:
    matching = [row for row in rows if all(row[key] == value for key, value in cells.items())]
    assert len(matching) == 1, f"{len(matching)} rows with {cells}"
    return matching[0]


def two_benchmarks(make_item) -> list[dict[str, str]]:
    """Return 60 single-answer native items and 40 translated ones, half of which have several answers."""
    native = [make_item(number, "nat") for number in range(60)]
    tasks = ["mcq"] * 20 + ["mcqu"] * 20
    translated = [make_item(number, "trad", task, "translated") for number, task in enumerate(tasks)]
    return [*native, *translated]


def write_models(study, items, right: dict[str, list[float]]) -> None:
    nothing = {("confidence", "probabilities"): {"original": [None] * len(items)}}
    nothing[("right_at_first_step", "probabilities")] = {"original": [None] * len(items)}
    for model, values in right.items():
        study.scores(model, "mcqa", items, {EM: {"original": values}} | nothing)
