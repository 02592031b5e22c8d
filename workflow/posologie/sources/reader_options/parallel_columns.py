"""Options of the reader of parallel text in rows."""

from pydantic import Field

from posologie.sources.spec import FileForm


class Options(FileForm):
    """Options of the reader: columns by name, and their languages."""

    source_text: str = Field(description="column of the text that is translated")
    target_text: str = Field(description="column of its translation")
    source_language: str = Field(default="en", description="language translated from")
    target_language: str = Field(default="fr", description="language translated into")
    id: str | None = Field(default=None, description="column of the segment's own identifier")
    group: str | None = Field(default=None, description="column of the document that segments come from")
    meta: tuple[str, ...] = Field(default=(), description="further columns to keep")

    def named_columns(self) -> tuple[str, ...]:
        """Return the columns that every table of this collection has to have."""
        named = (self.source_text, self.target_text, self.id, self.group, *self.meta)
        return tuple(dict.fromkeys(name for name in named if name is not None))
