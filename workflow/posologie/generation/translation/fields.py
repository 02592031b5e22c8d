"""The texts of an item that are translated together."""

from dataclasses import dataclass

from posologie.items import Item


@dataclass(frozen=True, slots=True)
class Fields:
    """Texts of an item, or of a part of it; what is not part of it is empty."""

    question: str = ""
    context: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return all texts, in a fixed order: question, context, answer, options."""
        return (self.question, self.context, self.answer, *self.options)


def fields_of(item: Item) -> Fields:
    """Return the texts of an item."""
    return Fields(item.question, item.context, item.options, item.answer)


def joined(parts: list[Fields]) -> Fields:
    """Return the whole of which `parts` are the parts: each text stands in one of them, the context in several."""
    return Fields(
        "".join(part.question for part in parts),
        "".join(part.context for part in parts),
        tuple(option for part in parts for option in part.options),
        "".join(part.answer for part in parts),
    )
