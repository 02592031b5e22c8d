"""The exception for bad input, and the errors of the machine that need one line rather than a traceback."""

import errno
import os
import re
from collections.abc import Iterator


class InputError(Exception):
    """Input that a person can fix: a file, a row, a key or a value.

    The message is one line that names what was found, where, and what was expected. A command that ends with it prints
    that line and nothing else, and exits with status 2.
    """


_FULL = "no space left; free some and run the same command again (what is finished is kept)"
_LINES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "disk quota used up; free some space and run the same command again (what is finished is kept)",
    errno.EFBIG: "the file is larger than the system allows here; raise the limit (ulimit -f)",
    errno.ENAMETOOLONG: "name too long for this file system; choose shorter names or folders",
    errno.ELOOP: "a symbolic link that leads back to itself; point it at the file or folder that is meant",
    errno.EISDIR: "a folder stands where a file belongs; move it away",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write in, or change its permissions",
    errno.EIO: "the disk reports an error; look at the system's log before you trust it again",
    errno.ESTALE: "the file server lost the file; run the same command again",
}
_SQLITE_FULL = 13
_OS_ERROR = re.compile(r"\(os error (\d+)\)|\[[Ee]rrno (\d+)\]")


def machine_error(error: BaseException, place: str | os.PathLike[str] | None = None) -> str | None:
    """Return the line for an error of the machine, such as a full disk; None for what may be a bug.

    Args:
        error: what was raised, or a group of errors; what it goes back to counts too.
        place: the file to name where the error names none.
    """
    for cause in _behind(error):
        number = _number(cause)
        if number in _LINES:
            # where a file could not be moved, its place is what a person knows
            named = getattr(cause, "filename2", None) or getattr(cause, "filename", None) or place
            return f"{os.fsdecode(named)}: {_LINES[number]}" if named else _LINES[number]
    return None


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, those in it where it is a group, and those that it goes back to."""
    visited: list[BaseException] = []
    while error is not None and error not in visited:
        visited.append(error)
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _behind(member)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _number(error: BaseException) -> int | None:
    """Return the system's number of an error, also where a library hides it in its message."""
    if isinstance(error, OSError):
        return error.errno
    if getattr(error, "sqlite_errorcode", None) == _SQLITE_FULL:
        return errno.ENOSPC
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # pathlib before Python 3.13
        return errno.ELOOP
    hidden = _OS_ERROR.search(str(error))  # such as safetensors' "No space left on device (os error 28)"
    return None if hidden is None else int(hidden[1] or hidden[2])
