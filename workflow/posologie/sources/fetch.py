"""A data set from the hub at one commit, with a manifest: the only step of the data's way that needs a network."""

import hashlib
import logging
import os
import shutil
from pathlib import Path
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

from posologie.commands import parser, run
from posologie.errors import InputError
from posologie.files import sha256_of_file, write_json
from posologie.sources.spec import FetchSpec

log = logging.getLogger(__name__)

SUFFIXES = ("json", "jsonl", "ndjson", "csv", "tsv", "parquet", "txt", "md")
"""What is taken: data and their description, never code or pickles."""


def main(argv: list[str]) -> None:
    """Download a data set repository; the token, if any, comes from `HF_TOKEN`."""
    arguments = parser("posologie.sources.fetch", "Download a data set from the hub and write its manifest.")
    arguments.add_argument("--manifest", required=True, type=Path)
    options = arguments.parse_args(argv)
    fetch(FetchSpec.from_json(options.spec), options.manifest)


def fetch(spec: FetchSpec, manifest: Path) -> None:
    """Download the data files of one commit beside the manifest, then write the manifest.

    The files are gathered in a folder of their own, which a failed download leaves behind: the next one keeps the files
    that are whole. Each file is checked against the checksum that the hub states.

    Raises:
        InputError: saying what failed, and what to do.
    """
    folder = manifest.parent
    api = HfApi(token=os.environ.get("HF_TOKEN") or False)  # False: no token that a login left on this machine
    try:
        info = api.dataset_info(spec.hub, revision=spec.revision, files_metadata=True)
        if info.sha is None:
            raise InputError(f"hub = '{spec.hub}': the hub names no commit for '{spec.revision}'")
        partial = folder.with_name(f".{folder.name}.{info.sha[:12]}.partial")
        snapshot_download(
            spec.hub,
            repo_type="dataset",
            revision=info.sha,
            allow_patterns=[f"*.{suffix}" for suffix in SUFFIXES],
            local_dir=partial,
            cache_dir=partial / ".cache" / "hub",
            token=api.token,
        )
    except GatedRepoError as error:
        raise InputError(f"hub = '{spec.hub}': gated; accept its terms on the hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise InputError(
            f"revision = '{spec.revision}': unknown; expected a branch, tag or commit of {spec.hub}"
        ) from error
    except RepositoryNotFoundError as error:
        raise InputError(f"hub = '{spec.hub}': no such data set, or a private one and no HF_TOKEN") from error
    except EntryNotFoundError as error:
        if isinstance(error, LocalEntryNotFoundError):
            raise _unreachable(spec, folder) from error
        where = unquote(str(error.response.url)) if error.response is not None else _first_line(error)
        raise InputError(f"hub = '{spec.hub}': a file that it lists is missing there ({where})") from error
    except (OfflineModeIsEnabled, httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise _unreachable(spec, folder) from error
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise InputError(
            f"hub = '{spec.hub}': download failed ({_first_line(error)}); run again to go on, or put the files of the"
            " data set in a local folder and name it with `path` instead of `hub`"
        ) from error
    checksums = {
        path.relative_to(partial).as_posix(): sha256_of_file(path)
        for path in sorted(partial.rglob("*"))
        if path.is_file() and ".cache" not in path.relative_to(partial).parts
    }
    if not checksums:
        raise InputError(f"hub = '{spec.hub}': no data files; expected some of .{', .'.join(SUFFIXES)}")
    _check(spec, partial, {sibling.rfilename: sibling for sibling in info.siblings or []}, checksums)
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)
    write_json(
        manifest,
        {
            "name": spec.hub,
            "kind": "hub",
            "requested_revision": spec.revision,
            "revision": info.sha,
            "files": checksums,
        },
    )
    log.info("%s at %s: %d files", spec.hub, info.sha, len(checksums))


def _check(spec: FetchSpec, folder: Path, listed: dict[str, RepoSibling], checksums: dict[str, str]) -> None:
    """Compare each file with what the hub states: SHA-256 for large files, git's blob hash for the others."""
    for name, checksum in checksums.items():
        sibling = listed.get(name)
        if sibling is None:
            continue
        if sibling.lfs is not None:
            whole = sibling.lfs.sha256 == checksum
        else:
            whole = sibling.blob_id is None or sibling.blob_id == _git_blob_hash(folder / name)
        if not whole:
            (folder / name).unlink()
            raise InputError(f"hub = '{spec.hub}': {name} arrived damaged and was deleted; run again to fetch it anew")


def _git_blob_hash(path: Path) -> str:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _unreachable(spec: FetchSpec, folder: Path) -> InputError:
    return InputError(
        f"hub = '{spec.hub}': the hub cannot be reached from here; run the same command on a machine with network and"
        f" copy {folder} here, or put the files in a local folder and name it with `path` instead of `hub`"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    run(main)
