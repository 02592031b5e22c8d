"""Items made for the tests of mixes."""

from posologie.records.items import Item, stable_id

PROVENANCE_OF = {"nat": "native", "nat2": "native", "trad": "translated", "syn": "synthetic", "val": "native"}


def made_items(source, provenance, count, *, split="train", tasks=("mcqu", "mcq"), subjects=("cardiologie",)):
    """`count` items of a source, tasks and subjects in turn, lengths growing."""
    items = []
    for number in range(count):
        task = tasks[number % len(tasks)]
        options = () if task == "oeq" else tuple(f"option {letter} {number}" for letter in "abcd")
        gold = {"oeq": (), "mcqu": (number % 4,), "mcq": (0, 2)}[task]
        items.append(
            Item(
                id=stable_id(source, split, str(number)),
                source=source,
                provenance=provenance,
                split=split,
                task=task,
                question=f"Question {number} de {source} ?" + " précision" * (number % 60),
                context="",
                options=options,
                gold=gold,
                answer="réponse" if task == "oeq" else "",
                group=stable_id(source, split, str(number)),
                meta={"subject": subjects[number % len(subjects)], "origin": f"{source}-{number % 3}"},
            )
        )
    return items
