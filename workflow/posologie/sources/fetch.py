"""Download a data set from the hub at one commit, and write its manifest."""

import logging
import shutil
from pathlib import Path

from posologie.records.files import write_json
from posologie.records.hub import download
from posologie.running.commands import parser, run
from posologie.running.errors import InputError
from posologie.sources.spec import FetchSpec

log = logging.getLogger(__name__)

_PACKED = tuple(
    f"{kind}.{packing}" for kind in ("json", "jsonl", "ndjson", "csv", "tsv") for packing in ("gz", "bz2", "xz", "zst")
)
SUFFIXES = ("json", "jsonl", "ndjson", "csv", "tsv", "xlsx", "parquet", "txt", "md", *_PACKED)
"""What is taken: data and their description, never code or pickles."""


def main(argv: list[str]) -> None:
    """Download a data set repository."""
    arguments = parser("posologie.sources.fetch", "Download a data set from the hub and write its manifest.")
    arguments.add_argument("--manifest", required=True, type=Path)
    options = arguments.parse_args(argv)
    fetch(FetchSpec.from_json(options.spec), options.manifest)


def fetch(spec: FetchSpec, manifest: Path) -> None:
    """Download the data files of one commit beside the manifest, then write the manifest.

    Raises:
        InputError: saying what failed, and what to do.
    """
    folder = manifest.parent
    patterns = [f"*.{suffix}" for suffix in SUFFIXES]
    downloaded = download(spec.hub, kind="dataset", revision=spec.revision, patterns=patterns, beside=folder)
    if not downloaded.checksums:
        raise InputError(f"hub = '{spec.hub}': no data files; expected some of .{', .'.join(SUFFIXES)}")
    shutil.rmtree(folder, ignore_errors=True)
    downloaded.folder.replace(folder)
    facts = {"name": spec.hub, "kind": "hub", "requested_revision": spec.revision, "revision": downloaded.commit}
    write_json(manifest, {**facts, "files": downloaded.checksums})
    log.info("%s at %s: %d files", spec.hub, downloaded.commit, len(downloaded.checksums))


if __name__ == "__main__":
    run(main)
