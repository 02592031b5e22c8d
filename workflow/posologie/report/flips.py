"""Whether predictions depend on what else was computed with them: what the jobs counted of it."""

from posologie.report.blocks import Prose
from posologie.report.inputs import Inputs
from posologie.report.tables import decimal
from posologie.report.words import counted

_PROCEDURES = {
    "first_token": "the likeliest label of the first token",
    "grammar": "a grammar",
    "json_schema": "a JSON schema",
    "none": "no constrained answer",
}
"""How a served model's constrained answers come about, by the run record's name of it."""


def procedures(inputs: Inputs) -> str:
    """Say which models' constrained answers do not come from the automaton, so that columns are not read as alike."""
    found: dict[str, list[str]] = {}
    for record in inputs.runs:
        for name in record.facts.get("constrained_answers", {}):
            found.setdefault(inputs.name(record.model), []).append(_PROCEDURES.get(name, name))
    if not found:
        return ""
    models = "; ".join(f"{model} by {' or '.join(dict.fromkeys(names))}" for model, names in found.items())
    return f"Constrained answers of served models come about in other ways than those of local ones: {models}."


def told(inputs: Inputs) -> Prose:
    """Say how many of the prompts computed once more by themselves had another likeliest label.

    In float32 none is computed again: the labels are those of decoding one by one. The run records of one job's suites
    state the whole job, so each job counts once.
    """
    jobs = {
        (record.model.name, record.facts.get("started")): record.facts
        for record in inputs.runs
        if record.facts["stage"] == "prediction"
    }
    audits = [audit for facts in jobs.values() if (audit := facts.get("recomputed_alone")) and audit["prompts"]]
    prompts = sum(audit["prompts"] for audit in audits)
    flipped = sum(audit["likeliest_label_flipped"] for audit in audits)
    halved = [halvings for facts in jobs.values() if (halvings := facts.get("chunk_halvings", 0))]
    sentences = []
    if prompts:
        again = (
            f"Where models answered in bfloat16, {counted(prompts, 'prompt')} of {counted(len(audits), 'job')} "
            f"{'was' if prompts == 1 else 'were'} computed once more without a batch"
        )
        share = f"({decimal(100 * flipped / prompts, 1)} %)"
        sentences.append(
            f"{again}: {flipped:,} had another likeliest label than in the batch {share}: near-ties, which rounding "
            "decides."
            if flipped
            else f"{again}: none had another likeliest label than in the batch."
        )
    else:
        sentences.append(
            "No prompt was computed once more by itself: models answered in float32, where batches change no label, "
            "or behind an endpoint."
        )
    if halved:
        sentences.append(
            f"Memory ran out in {len(halved)} of {counted(len(jobs), 'prediction job')}; chunks were halved "
            f"{counted(sum(halved), 'time')} in all, which changes no label but near-ties."
        )
    return Prose(tuple(filter(None, (" ".join(sentences), procedures(inputs)))))
