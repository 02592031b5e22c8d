"""Why a record cannot become an item of the split."""


class Rejected(Exception):  # noqa: N818 - a verdict on a record, not an error of the program
    """Raised where a record is found not to fit.

    Attributes:
        reason: one of a small vocabulary, by which rejections are counted.
        detail: what was found.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Elsewhere(Exception):  # noqa: N818
    """Raised where a record belongs to another split that the same file holds: neither kept nor rejected."""
