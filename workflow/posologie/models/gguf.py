"""A backbone from the GGUF file inside an installed Python package, converted once to safetensors and a tokenizer."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
import transformers

from posologie.models.install import install
from posologie.models.spec import Backbone
from posologie.models.store import installed_version
from posologie.running.commands import run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Convert a GGUF file to the form that everything else reads."""
    install("posologie.models.gguf", __doc__ or "", convert, argv)


def convert(backbone: Backbone, target: Path, _: Path) -> dict[str, Any]:
    """Write the dequantised weights (float32) and the tokenizer to `target`, and return the manifest's facts."""
    package, file = str(backbone.gguf_package), str(backbone.gguf_file)
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise InputError(f"gguf_package = '{package}': not installed; expected an importable Python package")
    folder = Path(found.origin).parent
    if not (folder / file).is_file():
        raise InputError(f"gguf_file = '{file}': not in package '{package}'; expected a GGUF file there")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    # transformers takes the weights that it has just unpacked for quantised ones and refuses to save them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    return {"kind": "gguf", "package": package, "revision": installed_version(package)}


if __name__ == "__main__":
    run(main)
