"""How tests write what was read in an answer: letters, `none` or `ambiguous`."""

NONE, AMBIGUOUS = "none", "ambiguous"
OPTIONS = ("Paracétamol", "Ibuprofène", "Vitamine C", "Amoxicilline", "L'aspirine")


def shown(reading):
    """Return the letters of a reading that has labels, else its outcome."""
    letters = "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[label] for label in reading.labels)
    return letters if reading.outcome == "labels" else f"{reading.outcome}{letters}"
