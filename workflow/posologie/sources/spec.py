"""What a shard or a collection depends on, and the patterns by which its files are named."""

import io
import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, ConfigDict, Field, field_validator, model_validator

from posologie.records.items import Split
from posologie.records.specs import Name, PathText, Spec


def _earlier_key(schema: dict[str, Any]) -> None:
    """Let the JSON schema take `provenance`, the key of earlier study files, in place of `component`."""
    schema["properties"]["provenance"] = {**schema["properties"]["component"], "deprecated": True}
    schema["required"] = [key for key in schema.get("required", []) if key != "component"]
    schema["oneOf"] = [{"required": ["component"]}, {"required": ["provenance"]}]


class Source(Spec):
    """Where items of one component come from, and in which published form."""

    model_config = ConfigDict(json_schema_extra=_earlier_key)

    provenance: Name = Field(
        validation_alias=AliasChoices("component", "provenance"),
        description="the component of the study that its items belong to (`provenance` in earlier study files)",
    )
    reader: Name = Field(default="hub_records", description="the published form: a module of posologie.sources")
    hub: PathText | None = Field(default=None, description="data set on the hub, `owner/name`")
    revision: PathText = Field(default="main", description="branch, tag or commit; the commit used is always recorded")
    path: PathText | None = Field(default=None, description="local folder that holds the published files")
    made: str | None = Field(
        default=None,
        alias="from",
        description="`generated/{generator}/{collection}` or `translated/{translator}/{source}`",
    )
    mixed: bool = Field(
        default=True, description="false: raw material for translation, drawn into no mix and not tested by default"
    )
    compared: bool = Field(
        default=False,
        description="true: only compared with in screening, such as the originals of translated tests; never trained "
        "on or tested",
    )
    splits: tuple[Split, ...] = Field(default=("train", "validation", "test"), description="splits that the source has")
    files: dict[Split, tuple[str, ...]] | None = Field(
        default=None,
        description="patterns of the files of each split below the folder; the form's own names if left out",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="options of the reader")
    language: str | None = Field(
        default=None,
        pattern="^[a-z]{2,3}$",
        description="language of its items (ISO 639 code), against which a sample of them is checked; if left out, "
        "the study's, or that of the translator or generator that makes or reads them",
    )
    reject_limit: float = Field(
        default=0.2, ge=0, le=1, description="highest share of rejected records of a split; more stop the shard"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [
            key for key, value in (("hub", self.hub), ("path", self.path), ("from", self.made)) if value is not None
        ]
        if len(origins) != 1:
            raise ValueError(f"exactly one of hub, path, from, not {origins or 'none'}")
        return self


class ShardSpec(Spec):
    """Exactly what one shard depends on, beside its input files and its reader's code."""

    source: Name
    provenance: Name
    split: Split
    patterns: tuple[str, ...] = Field(description="which files of a fetched data set belong to the split")
    options: dict[str, Any] = Field(default_factory=dict)
    language: str | None = Field(default=None, description="declared language of the items")
    phrases: dict[str, str] = Field(
        default_factory=dict,
        description="languages whose phrases mark position-dependent options → digest of their file",
    )
    reject_limit: float = 0.2


class FetchSpec(Spec):
    """What `datasets/{name}@{revision}/` depends on."""

    hub: str = Field(description="data set on the hub, `owner/name`")
    revision: str = "main"


class Collection(Spec):
    """Where documents, or parallel text, come from, and in which published form."""

    reader: Name = Field(description="the published form: a module of posologie.sources")
    hub: PathText | None = Field(default=None, description="data set on the hub, `owner/name`")
    revision: PathText = Field(default="main", description="branch, tag or commit; the commit used is always recorded")
    path: PathText | None = Field(default=None, description="local folder that holds the published files")
    files: tuple[str, ...] | None = Field(
        default=None, description="patterns of the files below the folder; the form's own names if left out"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="options of the reader")
    reject_limit: float = Field(
        default=0.2, ge=0, le=1, description="highest share of rejected records; more stop the collection"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.hub is None) == (self.path is None):
            raise ValueError("exactly one of hub and path")
        return self


class CollectionSpec(Spec):
    """Exactly what one document collection depends on, beside its input files and its reader's code."""

    collection: Name
    patterns: tuple[str, ...] = Field(default=(), description="which files of a fetched data set are read")
    options: dict[str, Any] = Field(default_factory=dict)
    reject_limit: float = 0.2


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
        description="whether the first row of CSV, TSV and XLSX names the columns; without one they are 1, 2, 3 …. If "
        "left out, a title above the names of an XLSX file is passed over",
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


def matches(path: str, pattern: str) -> bool:
    """Return whether a relative path fits a pattern: `*` stays within a folder, `**` spans any number of folders."""
    return _parts_match(path.split("/"), pattern.split("/"))


def _parts_match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_parts_match(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _parts_match(parts[1:], pattern[1:])


def chosen(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the paths that fit any of the patterns, sorted."""
    return sorted(path for path in paths if any(matches(path, pattern) for pattern in patterns))


def files_below(folder: str | os.PathLike[str]) -> list[str]:
    """Return the relative paths of all files below a folder, with `/`, hidden ones left out."""
    paths: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = Path(parent).relative_to(folder)
        paths.extend((relative / name).as_posix() for name in files if not name.startswith("."))
    return sorted(paths)
