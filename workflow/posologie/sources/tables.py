"""Published files opened, whatever their compression and encoding, and their tables: CSV and TSV."""

import bz2
import codecs
import csv
import gzip
import io
import lzma
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Literal, cast

from posologie.running.errors import InputError
from posologie.sources.cleaning import Malformed
from posologie.sources.spec import FileForm

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LEGACY = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "iso8859_2", "koi8_r"),
    *("gb18030", "big5", "cp932", "euc_jp", "euc_kr", "cp949", "tis_620", "mac_roman", "cp850"),
)


def format_of(path: Path) -> tuple[str, str]:
    """Return the format and the compression of a file by its name, such as `.csv` and `.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        return (suffixes[-2] if len(suffixes) > 1 else ""), suffixes[-1]
    return (suffixes[-1] if suffixes else ""), ""


def opened_bytes(name: str, path: Path) -> IO[bytes]:
    """Open a file for reading, decompressed.

    Raises:
        InputError: if it cannot be opened.
    """
    compression = format_of(path)[1]
    try:
        if compression == ".gz":
            return cast(IO[bytes], gzip.open(path))
        if compression == ".bz2":
            return bz2.open(path)
        if compression == ".xz":
            return lzma.open(path)
        if compression == ".zst":
            import pyarrow

            return io.BytesIO(pyarrow.input_stream(str(path), compression="zstd").read())
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from error


@contextmanager
def opened_text(
    name: str, path: Path, form: FileForm | None, facts: dict[str, Any], newline: str | None = ""
) -> Iterator[IO[str]]:
    """Open a file as text; bytes that its encoding does not know become lone surrogates, which cleaning rejects.

    Args:
        name: as shown.
        form: what is told of the file; UTF-8 where there is no form.
        facts: receives encoding and compression, where they are worth a word.
        newline: as `open` takes it.

    Raises:
        InputError: if the file cannot be opened, is cut off, or is not in the encoding that is told.
    """
    encoding = "utf-8-sig" if form is None else _encoding(name, path, form, facts)
    if compression := format_of(path)[1]:
        facts["compression"] = compression.removeprefix(".")
    try:
        with opened_bytes(name, path) as raw:
            yield io.TextIOWrapper(raw, encoding, "surrogateescape", newline)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InputError(f"{name}: not a whole {compression} file ({error})") from error
    except UnicodeError as error:
        raise InputError(f"{name}: not {encoding} throughout ({error})") from error
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from error


def _encoding(name: str, path: Path, form: FileForm, facts: dict[str, Any]) -> str:
    """Return the encoding of a file: told, or by its first bytes, or UTF-8 where it is that, or else the likeliest."""
    try:
        with opened_bytes(name, path) as raw:
            start = raw.read(_SAMPLE)
            boms = [encoding for bom, encoding in _BOMS if start.startswith(bom)]
            broken, beyond_ascii = _not_utf8(raw, start)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InputError(f"{name}: not a whole {format_of(path)[1]} file ({error})") from error
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from error
    if form.encoding is not None:
        told = codecs.lookup(form.encoding).name
        if told not in ("utf-8", "utf-8-sig", "ascii") and not told.startswith("utf-") and not broken and beyond_ascii:
            raise InputError(f"{name}: is UTF-8 throughout, though encoding says {form.encoding}; leave encoding out")
        facts["encoding"] = {"name": told, "told": True}
        return "utf-8-sig" if told == "utf-8" else form.encoding
    if boms or not broken or _mostly_utf8(start):
        found = boms[0] if boms else "utf-8-sig"
        facts["encoding"] = {"name": found.removesuffix("-sig"), "told": False}
        return found
    found = _likeliest(start)
    facts["encoding"] = {"name": found, "told": False}
    return found


def _not_utf8(raw: IO[bytes], start: bytes) -> tuple[bool, bool]:
    """Say whether a file is not UTF-8 somewhere, and whether it has more than ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    beyond, block = False, start
    try:
        while block:
            beyond = beyond or not block.isascii()
            decoder.decode(block)
            block = raw.read(_SAMPLE)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return True, True
    return False, beyond


def _mostly_utf8(start: bytes) -> bool:
    """Say whether most of what is not ASCII is UTF-8: single lines are damaged, and the file as a whole is UTF-8."""
    text = start.decode("utf-8", "surrogateescape")
    damaged = sum("\udc80" <= character <= "\udcff" for character in text)
    return sum(character > "\x7f" for character in text) > 2 * damaged


def _likeliest(start: bytes) -> str:
    """Return the likeliest encoding of bytes that are not UTF-8; short Latin text is taken for Windows' own."""
    from charset_normalizer import from_bytes

    lines = [line for line in start.split(b"\n") if not line.isascii()]
    best = from_bytes(b"\n".join(lines)[: 1 << 16], cp_isolation=list(_LEGACY)).best()
    likeliest = "cp1252" if best is None else str(best.encoding)
    letters = sum(byte > 0x7F for byte in b"".join(lines))
    text = b"".join(lines)
    if letters < 0.25 * len(text) and not any(byte in b"\x81\x8d\x8f\x90\x9d" for byte in text):
        western = text.decode("cp1252", "ignore")
        odd = sum(not (one.isalpha() or one in "«»’‘“”–—…°€£§±µ²³·¿¡ ºª½¼¾×÷•") for one in western if one > "\x7f")
        capitals = sum(a.islower() and b > "\x7f" and b.isupper() for a, b in pairwise(western))
        if not odd and not capitals:
            return "cp1252"
    return likeliest


_SAMPLE = 1 << 20
_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def delimited_records(
    name: str, path: Path, suffix: str, form: FileForm | None, wanted: Sequence[str], facts: dict[str, Any]
) -> Iterator[Any]:
    """Yield the rows of a delimited file as records by column name.

    Args:
        name: file as shown.
        path: the file.
        suffix: `.csv` or `.tsv`.
        form: what is told; the delimiter is that of the suffix, and TSV has no quotes, where there is no form.
        wanted: columns that have to be there, by which a dialect is known.
        facts: receives the dialect.

    Raises:
        InputError: if the file is empty, has one column twice, or a quote never closes.
    """
    with opened_text(name, path, form, facts) as file:
        told = FileForm(delimiter="\t" if suffix == ".tsv" else ",", quoting=suffix != ".tsv", header=True)
        delimiter, quoting, named = _dialect(name, file, suffix, form, wanted, facts) if form else _as_told(told)
        cells = cells_of(name, file, delimiter, quoting=quoting)
        header = next(cells, None)
        if not header:
            raise InputError(f"{name}: empty; expected a line of column names")
        yield from named_rows(name, header, cells, named, delimiter, wanted)


def named_rows(
    name: str, first: list[Any], rows: Iterator[Any], named: bool, joint: str, wanted: Sequence[str] = ()
) -> Iterator[Any]:
    """Yield rows as records, or as malformed where they are of another width than the header.

    Raises:
        InputError: if a column name occurs twice, or a wanted column is not there.
    """
    texts = ["" if cell is None else str(cell).strip() for cell in first]
    header = texts if named else [str(place) for place in range(1, len(first) + 1)]
    twice = [column for column, times in Counter(filter(None, header)).items() if times > 1]
    if twice:
        places = [str(place) for place, column in enumerate(header, 1) if column == twice[0]]
        raise InputError(f"{name}: column '{twice[0]}' stands twice, as {' and '.join(places)}; give each its own name")
    for column in wanted:
        if column not in header:
            raise InputError(f"{name}: no column '{column}'; it has {', '.join(filter(None, header))[:200]}")
    for row in rows if named else _with(first, rows):
        if isinstance(row, Malformed):
            yield row
        elif len(row) == len(header):
            yield {column: cell for column, cell in zip(header, row, strict=True) if column}
        else:
            yield Malformed(f"{len(row)} cells; expected {len(header)}", joint.join(map(str, row)))


def _with(first: list[Any], rows: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rows


def cells_of(name: str, file: IO[str], delimiter: str, *, quoting: bool) -> Iterator[list[str]]:
    """Yield the rows of a delimited file that are not blank.

    Raises:
        InputError: if a quote never closes.
    """
    csv.field_size_limit(1 << 30)
    mode: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader = csv.reader(file, delimiter=delimiter, quoting=mode, strict=quoting)
    try:
        for row in reader:
            if row:
                yield row
    except csv.Error as error:
        raise InputError(
            f"{name}, line {reader.line_num}: {error}; a double quote that is text needs quoting: false"
        ) from error


def _as_told(form: FileForm) -> tuple[str, bool, bool]:
    return form.delimiter or ",", bool(form.quoting), True


def _dialect(
    name: str, file: IO[str], suffix: str, form: FileForm, wanted: Sequence[str], facts: dict[str, Any]
) -> tuple[str, bool, bool]:
    """Return delimiter, quoting and whether there is a header: as told, or those by which the rows are of one width."""
    sample = file.read(_SAMPLE)
    whole = len(sample) < _SAMPLE
    first_line = sample.split("\n", 1)[0].strip().strip('"')
    skipped = first_line.lower().startswith("sep=") and len(first_line) == 5
    told = form.delimiter or (first_line[4] if skipped else None)
    delimiters = (told,) if told else ("\t",) if suffix == ".tsv" else _DELIMITERS
    body = sample.split("\n", 1)[1] if skipped and "\n" in sample else sample
    best: tuple[Any, ...] | None = None
    for place, delimiter in enumerate(delimiters):
        for quoting in (True, False) if form.quoting is None else (form.quoting,):
            rows = _sampled(body, delimiter, quoting, whole)
            if not rows or (not quoting and form.quoting is None and _has_quoted_cell(rows)):
                continue
            width = len(rows[0])
            if width == 1 and len(wanted) > 1:
                continue
            known = sum(column in [cell.strip() for cell in rows[0]] for column in wanted)
            even = sum(len(row) == width for row in rows) / len(rows)
            score = (known, width > 1, even, width if not wanted else 0, quoting, -place)
            if best is None or score > best[0]:
                best = score, delimiter, quoting, rows
    if best is None:
        if not body.strip():
            raise InputError(f"{name}: empty; expected a line of column names")
        best = (), delimiters[0], form.quoting is not False, []
    _, delimiter, quoting, rows = best
    numbered = bool(wanted) and all(column.isdecimal() for column in wanted)
    named = form.header if form.header is not None else not (numbered and rows and not set(wanted) & set(rows[0]))
    quoting = quoting and ('"' in sample or form.quoting is True or delimiter != "\t")
    facts["delimiter"] = {"name": _NAMES.get(delimiter, delimiter), "told": told is not None}
    facts["quoting"] = {"name": "double quotes" if quoting else "none", "told": form.quoting is not None}
    facts["header"] = {"name": "first row" if named else "none", "told": form.header is not None}
    file.seek(0)
    if skipped:
        file.readline()
    return delimiter, quoting, named


def _has_quoted_cell(rows: list[list[str]]) -> bool:
    return any(len(cell) > 1 and cell[0] == cell[-1] == '"' for row in rows for cell in row)


def _sampled(body: str, delimiter: str, quoting: bool, whole: bool) -> list[list[str]]:
    mode: Literal[0, 3] = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    rows: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, quoting=mode, strict=quoting)
        rows.extend(row for row in reader if row)
    except csv.Error:
        if whole or len(rows) < 2:
            return []
    return rows if whole or len(rows) < 2 else rows[:-1]
