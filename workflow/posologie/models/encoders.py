"""Text encoders: where their files lie, loading them, batches of texts of like length, and one vector for each text.

`torch` and `transformers` take seconds to import, so they are imported only where an encoder runs.
"""

import importlib.metadata
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from posologie.models.spec import EncoderOrigin
from posologie.models.store import checked_folder, read_manifest
from posologie.records.files import sha256_of_file
from posologie.running.errors import InputError

Pooling = Literal["mean", "first"]
_SHIFTED = ("roberta", "camembert", "xlm-roberta")
"""Architectures whose positions start after the padding index, which is 1."""


@dataclass(frozen=True)
class Loaded:
    """An encoder with its tokenizer.

    Attributes:
        longest: tokens that it can read, special ones included.
    """

    tokenizer: Any
    model: Any
    longest: int
    device: str


def encoder_folder(encoder: EncoderOrigin, manifest: str | None) -> Path:
    """Return the folder that holds an encoder.

    Raises:
        InputError: if the package is not installed or holds no encoder, or the manifest of a hub encoder is missing.
    """
    if encoder.hub is not None:
        if manifest is None:
            raise InputError("--encoder: missing; expected the manifest of the encoder from the hub")
        return checked_folder(manifest)
    if encoder.folder is not None:
        folders = [Path(encoder.folder)]
    else:
        module = importlib.util.find_spec(str(encoder.package))
        if module is None or not module.submodule_search_locations:
            raise InputError(f"encoder.package = '{encoder.package}': not installed")
        root = Path(module.submodule_search_locations[0])
        folders = sorted((path.parent for path in root.rglob("model.safetensors")), key=lambda path: len(path.parts))
    if not folders or not (folders[0] / "config.json").is_file() or not (folders[0] / "model.safetensors").is_file():
        where = encoder.folder or encoder.package
        raise InputError(f"encoder: '{where}' has no config.json with model.safetensors; expected an encoder")
    return folders[0]


def encoder_name(encoder: EncoderOrigin, folder: Path, manifest: str | None) -> str:
    """Return which encoder it is: name, revision or checksum, and the library that runs it."""
    if encoder.hub is not None and manifest is not None:
        which = f"{encoder.hub}@{read_manifest(manifest)['revision']}"
    else:
        which = f"{encoder.package or folder.name}@sha256:{sha256_of_file(folder / 'model.safetensors')[:12]}"
    return f"encoder:{which}|transformers:{importlib.metadata.version('transformers')}"


def load_encoder(folder: Path, device: str = "cpu") -> Loaded:
    """Load the encoder of a folder: safetensors only, no remote code, float32.

    Raises:
        InputError: if transformers cannot load the folder.
    """
    import torch
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: not an encoder that transformers can load ({str(error).splitlines()[0]})"
        ) from error
    longest = min(int(tokenizer.model_max_length), int(model.config.max_position_embeddings))
    if getattr(model.config, "model_type", "") in _SHIFTED:
        longest -= 2
    return Loaded(tokenizer, model.to(device).eval(), longest, device)


def batches(lengths: Sequence[int], chunk_tokens: int) -> Iterator[list[int]]:
    """Yield places of texts of similar length, at most so many tokens together, padding included."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and lengths[place] * (len(batch) + 1) > chunk_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


class SentenceVectors:
    """One vector for each text, by a sentence encoder."""

    def __init__(self, folder: Path, pooling: Pooling, prefix: str = "", chunk_tokens: int = 16384) -> None:
        """Load the encoder of a folder, on the GPU if there is one.

        Args:
            pooling: the mean of a text's token vectors (Reimers and Gurevych 2019), or the vector of its first token.
            prefix: put before every text.
            chunk_tokens: tokens in one forward pass, padding included; changes no result beyond float noise.
        """
        import torch

        self.encoder = load_encoder(folder, "cuda" if torch.cuda.is_available() else "cpu")
        self.pooling, self.prefix, self.chunk_tokens = pooling, prefix, chunk_tokens

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return vectors of length 1, shape (texts, dimensions). A text that is too long loses its end."""
        import torch

        different = list(dict.fromkeys(texts))
        tokenizer = self.encoder.tokenizer
        vectors = np.empty((len(different), int(self.encoder.model.config.hidden_size)), dtype=np.float32)
        if not different:
            return vectors
        encoded = tokenizer(
            [self.prefix + text for text in different], truncation=True, max_length=self.encoder.longest
        )["input_ids"]
        for batch in batches([len(ids) for ids in encoded], self.chunk_tokens):
            padded = tokenizer.pad({"input_ids": [encoded[place] for place in batch]}, return_tensors="pt")
            padded = padded.to(self.encoder.device)
            with torch.inference_mode():
                hidden = self.encoder.model(**padded).last_hidden_state
            mask = padded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            if self.pooling == "mean":
                pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
            else:
                first = padded["attention_mask"].argmax(dim=1)  # padding may stand on the left
                pooled = hidden[torch.arange(len(batch), device=hidden.device), first]
            vectors[batch] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        place = {text: number for number, text in enumerate(different)}
        return vectors[[place[text] for text in texts]]
