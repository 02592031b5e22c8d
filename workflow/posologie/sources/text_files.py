"""Published files opened as text, in any compression and encoding."""

import bz2
import codecs
import gzip
import io
import lzma
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast

from posologie.running.errors import InputError
from posologie.sources.spec import FileForm

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 20
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


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A published file, what the study says of it, and how it turned out to be read.

    Attributes:
        name: as shown in reports and errors.
        form: what the study says of the file; the rest is detected. Without one, text is UTF-8, CSV has commas and TSV
            no quotes.
        required: columns that a table has to have, by which its dialect is known.
        facts: receives encoding, compression and dialect, where they are worth a word.
    """

    name: str
    path: Path
    form: FileForm | None = None
    required: Sequence[str] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def suffix(self) -> str:
        """The format by the name, without the compression."""
        return format_of(self.path)[0]


@contextmanager
def opened_text(file: PublishedFile, newline: str | None = "") -> Iterator[IO[str]]:
    """Open a file as text; bytes that its encoding does not know become lone surrogates, which cleaning rejects.

    Args:
        newline: as `open` takes it.

    Raises:
        InputError: if the file cannot be opened, is cut off, or is not in the encoding that the study states.
    """
    name = file.name
    encoding = "utf-8-sig" if file.form is None else _encoding(file, file.form)
    if compression := format_of(file.path)[1]:
        file.facts["compression"] = compression.removeprefix(".")
    try:
        with opened_bytes(name, file.path) as raw:
            yield io.TextIOWrapper(raw, encoding, "surrogateescape", newline)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InputError(f"{name}: not a whole {compression} file ({error})") from error
    except UnicodeError as error:
        raise InputError(f"{name}: not {encoding} throughout ({error})") from error
    except OSError as error:
        raise InputError(f"{name}: {error.strerror or error}") from error


def _encoding(file: PublishedFile, form: FileForm) -> str:
    """Return the encoding of a file: as stated, by its first bytes, UTF-8 where it is that, or else the likeliest."""
    name, path, facts = file.name, file.path, file.facts
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
        stated = codecs.lookup(form.encoding).name
        unicode = stated == "ascii" or stated.startswith("utf-")
        if not unicode and not broken and beyond_ascii:
            raise InputError(f"{name}: is UTF-8 throughout, though encoding says {form.encoding}; leave encoding out")
        facts["encoding"] = {"name": stated, "configured": True}
        return "utf-8-sig" if stated == "utf-8" else form.encoding
    if boms or not broken or _mostly_utf8(start):
        encoding = boms[0] if boms else "utf-8-sig"
        facts["encoding"] = {"name": encoding.removesuffix("-sig"), "configured": False}
        return encoding
    encoding = _likeliest(start)
    facts["encoding"] = {"name": encoding, "configured": False}
    return encoding


def _not_utf8(raw: IO[bytes], start: bytes) -> tuple[bool, bool]:
    """Return whether a file is not UTF-8 somewhere, and whether it has more than ASCII."""
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
    """Return whether most of what is not ASCII is UTF-8: single lines are damaged, and the file as a whole is UTF-8."""
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
        beyond_ascii = [character for character in western if character > "\x7f"]
        odd = any(not (letter.isalpha() or letter in "«»’‘“”–—…°€£§±µ²³·¿¡ ºª½¼¾×÷•") for letter in beyond_ascii)
        # A capital with an accent behind a small letter is what another alphabet looks like in cp1252.
        capitals = any(a.islower() and b > "\x7f" and b.isupper() for a, b in pairwise(western))
        if not odd and not capitals:
            return "cp1252"
    return likeliest
