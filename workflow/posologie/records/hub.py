"""The hub: one commit of a data set or model repository, downloaded so that a broken download goes on, and checked."""

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling

from posologie.records.files import sha256_of_file
from posologie.running.errors import InputError

log = logging.getLogger(__name__)

INSTEAD = {
    "dataset": "put the files of the data set in a local folder and name it with `path` instead of `hub`",
    "model": "put the files of the model in a local folder and name it with `folder` instead of `hub`",
}


def is_commit(revision: str) -> bool:
    """Return whether a revision is a commit, which always means the same files; branches and tags can move."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


@dataclass(frozen=True)
class Snapshot:
    """The files of one commit: where they were gathered, and the SHA-256 of each by its path below the folder."""

    commit: str
    folder: Path
    checksums: dict[str, str]


def download(
    name: str, *, kind: Literal["dataset", "model"], revision: str, patterns: Sequence[str], beside: Path
) -> Snapshot:
    """Download the files of one commit that fit a pattern; the token, if any, comes from `HF_TOKEN`.

    They are gathered in a hidden folder beside `beside`, which a failed download leaves behind: the next one keeps the
    files that are whole. Each file is checked against the checksum that the hub states.

    Raises:
        InputError: saying what failed, and what to do.
    """
    api = HfApi(token=os.environ.get("HF_TOKEN") or False)  # False: no token that a login left on this machine
    information = api.dataset_info if kind == "dataset" else api.model_info
    try:
        info = information(name, revision=revision, files_metadata=True)
        if info.sha is None:
            raise InputError(f"hub = '{name}': the hub names no commit for '{revision}'")
        partial = beside.with_name(f".{beside.name}.{info.sha[:12]}.partial")
        snapshot_download(
            name,
            repo_type=kind,
            revision=info.sha,
            allow_patterns=list(patterns),
            local_dir=partial,
            cache_dir=partial / ".cache" / "hub",
            token=api.token,
        )
    except GatedRepoError as error:
        raise InputError(f"hub = '{name}': gated; accept its terms on the hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise InputError(f"revision = '{revision}': unknown; expected a branch, tag or commit of {name}") from error
    except RepositoryNotFoundError as error:
        shown = "data set" if kind == "dataset" else kind
        raise InputError(f"hub = '{name}': no such {shown}, or a private one and no HF_TOKEN") from error
    except EntryNotFoundError as error:
        if isinstance(error, LocalEntryNotFoundError):
            raise _unreachable(name, kind, beside) from error
        where = unquote(str(error.response.url)) if error.response is not None else _first_line(error)
        raise InputError(f"hub = '{name}': a file that it lists is missing there ({where})") from error
    except (OfflineModeIsEnabled, httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise _unreachable(name, kind, beside) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        reason = f"download failed ({_first_line(error)}); run again to go on, or {INSTEAD[kind]}"
        raise InputError(f"hub = '{name}': {reason}") from error
    checksums = {
        path.relative_to(partial).as_posix(): sha256_of_file(path)
        for path in sorted(partial.rglob("*"))
        if path.is_file() and ".cache" not in path.relative_to(partial).parts
    }
    _check(name, partial, {sibling.rfilename: sibling for sibling in info.siblings or []}, checksums)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    if not is_commit(revision):
        log.warning("%s: '%s' can move; this study keeps commit %s from now on", name, revision, info.sha)
    return Snapshot(info.sha, partial, checksums)


def _check(name: str, folder: Path, listed: dict[str, RepoSibling], checksums: dict[str, str]) -> None:
    """Compare each file with what the hub states: SHA-256 for large files, git's blob hash for the others."""
    for file, checksum in checksums.items():
        sibling = listed.get(file)
        if sibling is None:
            continue
        if sibling.lfs is not None:
            whole = sibling.lfs.sha256 == checksum
        else:
            whole = sibling.blob_id is None or sibling.blob_id == _git_blob_hash(folder / file)
        if not whole:
            (folder / file).unlink()
            raise InputError(f"hub = '{name}': {file} was damaged in transfer and deleted; run again to fetch it")


def _git_blob_hash(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unreachable(name: str, kind: str, folder: Path) -> InputError:
    return InputError(
        f"hub = '{name}': the hub cannot be reached from here; run the same command on a machine with network and"
        f" copy {folder} here, or {INSTEAD[kind]}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
