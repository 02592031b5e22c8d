"""A backbone from the hub, at one commit that the manifest records."""

import shutil
from pathlib import Path
from typing import Any

from posologie.models.install import install
from posologie.models.spec import Backbone
from posologie.records.hub import download
from posologie.running.commands import run

PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")
"""What is taken: no pickled weights, and Python code only where the user trusts it."""


def main(argv: list[str]) -> None:
    """Download a model repository."""
    install("posologie.models.hub", __doc__ or "", bring, argv)


def bring(backbone: Backbone, target: Path, folder: Path) -> dict[str, Any]:
    """Put the files of one commit of `backbone.hub` into `target`, and return the manifest's facts."""
    name = str(backbone.hub)
    patterns = [*PATTERNS, "*.py"] if backbone.trust_remote_code else PATTERNS
    found = download(name, kind="model", revision=backbone.revision, patterns=patterns, beside=folder)
    for file in found.checksums:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        (found.folder / file).replace(target / file)
    shutil.rmtree(found.folder)
    return {
        "kind": "hub",
        "repository": name,
        "requested_revision": backbone.revision,
        "revision": found.commit,
        "trust_remote_code": backbone.trust_remote_code,
    }


if __name__ == "__main__":
    run(main)
