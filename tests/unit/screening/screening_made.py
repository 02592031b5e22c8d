"""Items and runs made for the tests of screening."""

from posologie.records.items import Item, stable_id


def item(
    key, question="", *, source="train-source", split="train", context="", options=(), gold=(0,), group=None, **facts
):
    """An item with short texts; its id depends on source, split and key alone."""
    name = stable_id(source, split, key)
    return Item(
        id=name,
        source=source,
        provenance=facts.get("provenance", "native"),
        split=split,
        task=facts.get("task", "mcqu" if options else "oeq"),
        question=question or f"Question {key} ?",
        context=context,
        options=tuple(options),
        gold=tuple(gold) if options else (),
        answer="" if options else facts.get("answer", "réponse"),
        group=group or name,
        meta={"origin": facts.get("origin", "somewhere"), **facts.get("meta", {})},
    )


ASPIRIN = "Quel est le mécanisme d'action de l'acide acétylsalicylique à faible dose dans la prévention secondaire ?"
OPTIONS = ("Inhibition irréversible de la cyclo-oxygénase", "Blocage du récepteur P2Y12", "Inhibition du facteur Xa")
STATINS = "Parmi les effets indésirables suivants, lequel fait interrompre un traitement par statine sans délai ?"
CASE = (
    "Un homme de 64 ans, hypertendu et diabétique, consulte pour une douleur thoracique constrictive survenue à "
    "l'effort, qui irradie vers le bras gauche et cède au repos en quelques minutes. L'examen est normal, la pression "
    "artérielle est à 145/85 mmHg et l'électrocardiogramme de repos ne montre pas d'anomalie de la repolarisation."
)
