"""A backbone from a local folder in transformers' form."""

import shutil
from pathlib import Path
from typing import Any

from posologie.models.install import install
from posologie.models.spec import Backbone, files_of_model
from posologie.running.commands import run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Copy a local model folder."""
    install("posologie.models.folder", __doc__ or "", copy, argv)


def copy(backbone: Backbone, target: Path, _: Path) -> dict[str, Any]:
    """Copy the files of `backbone.folder` into `target`, pickled weights left out, and return the manifest's facts."""
    source = Path(str(backbone.folder))
    if not (source / "config.json").is_file() and not (source / "adapter_config.json").is_file():
        raise InputError(f"folder = '{source}': no config.json there; expected a model in transformers' form")
    for file in files_of_model(source):
        shutil.copy2(file, target / Path(file).name)
    return {"kind": "folder", "trust_remote_code": backbone.trust_remote_code}


if __name__ == "__main__":
    run(main)
