"""Options of the reader of documents in rows."""

from pydantic import Field

from posologie.sources.spec import FileForm


class Options(FileForm):
    """Options of the reader: columns by name."""

    text: str = Field(description="column of the text")
    title: str | None = Field(default=None, description="column of the title")
    id: str | None = Field(default=None, description="column of the document's own identifier")
    group: str | None = Field(default=None, description="column of what documents of one case have in common")
    meta: tuple[str, ...] = Field(default=(), description="further columns to keep")

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that every table of this collection has to have."""
        named = (self.text, self.title, self.id, self.group, *self.meta)
        return tuple(dict.fromkeys(name for name in named if name is not None))
