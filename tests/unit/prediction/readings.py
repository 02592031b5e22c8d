"""How tests write what was read in an answer: letters, `none` or `ambiguous`."""

NONE, AMBIGUOUS = "none", "ambiguous"
OPTIONS = ("Paracétamol", "Ibuprofène", "Vitamine C", "Amoxicilline", "L'aspirine")


def shown(reading):
    """Return the letters of a reading, or its outcome where it has none."""
    return "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[label] for label in reading.labels) or reading.outcome
