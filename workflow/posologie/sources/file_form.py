"""How files are to be read, where a reader leaves that open; what is left out is found and written in the report."""

import io
from typing import Self

from pydantic import Field, field_validator, model_validator

from posologie.specs import Spec


class FileForm(Spec):
    """Dialect of the files of a source, and where in them the records are."""

    encoding: str | None = Field(default=None, description="of text files, such as cp1252; found if left out")
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="of CSV and TSV: one character; found if left out"
    )
    quoting: bool | None = Field(
        default=None, description="whether cells of CSV and TSV may stand in double quotes; found if left out"
    )
    header: bool | None = Field(
        default=None,
        description="whether the first row of CSV, TSV and XLSX names the columns; without one they are 1, 2, 3 …",
    )
    sheet: str | None = Field(default=None, description="sheet of XLSX files; needed where several hold rows")
    records: str | None = Field(
        default=None,
        description="path to records inside nested JSON or Parquet, such as `exams.*.data.*`; `*` is every member of a "
        "list or map. In names of columns, `^.name` is then a field of what holds the record, and `@key` its key there",
    )

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                io.TextIOWrapper(io.BytesIO(), value)
            except LookupError as error:
                raise ValueError("the name of an encoding, such as utf-8, cp1252 or gb18030") from error
        return value

    @model_validator(mode="after")
    def _path(self) -> Self:
        if self.records is not None and not all(self.records.split(".")):
            raise ValueError("records as names or * with dots between them")
        return self

    def form(self) -> "FileForm":
        """Return these fields alone, of a model that has more."""
        return FileForm(**{name: getattr(self, name) for name in FileForm.model_fields})
