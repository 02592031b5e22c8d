"""Items and runs made for the tests of screening."""

import numpy as np
from scipy import sparse

from posologie.records.items import Item, stable_id
from posologie.screening.shingles import shingles


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
PARALLEL = [
    ("Which organ secretes bile into the duodenum through the common bile duct?",
     ("Liver", "Spleen", "Kidney", "Thyroid"), 0,
     "Quel organe sécrète la bile dans le duodénum par le canal cholédoque ?",
     ("Le foie", "La rate", "Le rein", "La thyroïde"), 0),
    ("A 45-year-old man with hyperkalemia of 7.2 mmol/l has an abnormal electrocardiogram. What do you inject first?",
     ("Calcium gluconate", "Sodium bicarbonate", "Furosemide", "Amiodarone"), 0,
     "Un homme de 45 ans avec une hyperkaliémie à 7,2 mmol/l a un électrocardiogramme anormal. Qu'injecter d'abord ?",
     ("Bicarbonate de sodium", "Gluconate de calcium", "Furosémide", "Amiodarone"), 1),
    ("Which antibiotic inhibits bacterial protein synthesis by binding the 50S ribosomal subunit?",
     ("Erythromycin", "Gentamicin", "Vancomycin", "Ciprofloxacin"), 0,
     "Quel antibiotique inhibe la synthèse protéique bactérienne en se liant à la sous-unité ribosomique 50S ?",
     ("Érythromycine", "Gentamicine", "Vancomycine", "Ciprofloxacine"), 0),
]  # fmt: skip


def every_pair(fields, threshold, width):
    """All pairs at or above the threshold by counting shared shingles, and their similarities."""
    hashes, bounds = shingles(fields, width)
    columns = np.unique(hashes, return_inverse=True)[1]
    held = sparse.csr_array((np.ones(len(hashes)), columns, bounds), shape=(len(fields), columns.max() + 1))
    held.sum_duplicates()
    held.data[:] = 1
    common = (held @ held.T).toarray()
    sizes = common.diagonal()
    similarity = common / (sizes[:, None] + sizes[None, :] - common)
    return {(i, j): similarity[i, j] for i, j in np.argwhere(np.triu(similarity, 1) >= threshold).tolist()}
