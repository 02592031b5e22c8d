"""What each token of a vocabulary writes in the middle of a text, as bytes, for any tokenizer."""

import json
import re
from typing import Any

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_REPLACEMENT = "\ufffd"


def token_bytes(tokenizer: Any) -> list[bytes | None]:
    """Return the bytes that each token adds to a text that is already under way, by token id.

    Pieces of byte-level vocabularies and of the `<0x…>` form say their bytes themselves. For others it is what decoding
    the token behind another token adds to decoding that one alone: this holds for SentencePiece and WordPiece
    vocabularies, and keeps the leading blank that decoders drop at the start of a text.

    A byte piece stands in for a character that has no piece of its own. Where it has one, no encoder writes the byte
    piece, and its probability is that of a token which was never trained on: it counts as no spelling of the character.

    Returns:
        One entry for each id; None for special tokens, ids without a token, byte pieces of a character that has a token
        of its own, and other parts of a character.
    """
    size = len(tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(list(range(size)))
    added = tokenizer.added_tokens_decoder
    special = set(tokenizer.all_special_ids) | {index for index, token in added.items() if token.special}
    byte_level = _is_byte_level(tokenizer)
    anchor = _anchor(tokenizer, special)
    before = _decoded(tokenizer, [anchor])
    found: list[bytes | None] = [None] * size
    byte_pieces = []
    for index, piece in enumerate(pieces):
        if piece is None or index in special:
            continue
        if byte_level and index not in added and all(character in _BYTE_OF for character in piece):
            found[index] = bytes(_BYTE_OF[character] for character in piece)
        elif match := _BYTE_PIECE.fullmatch(piece):
            found[index] = bytes([int(match.group(1), 16)])
            byte_pieces.append(index)
        else:
            text = _decoded(tokenizer, [anchor, index])
            if text.startswith(before) and _REPLACEMENT not in text:
                found[index] = text[len(before) :].encode()
    fallback = set(byte_pieces)
    whole = {text for index, text in enumerate(found) if index not in fallback}
    for index in byte_pieces:
        if found[index] in whole:
            found[index] = None
    return found


def _decoded(tokenizer: Any, tokens: list[int]) -> str:
    text: str = tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def _anchor(tokenizer: Any, special: set[int]) -> int:
    """Return an ordinary token that a following token does not change."""
    for text in ("x", "e", "0", "a"):
        ids = [index for index in tokenizer.encode(text, add_special_tokens=False) if index not in special]
        if ids and _REPLACEMENT not in tokenizer.decode(ids[-1:]):
            return int(ids[-1])
    return next(index for index in range(len(tokenizer)) if index not in special)


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and '"ByteLevel"' in json.dumps(json.loads(backend.to_str()).get("decoder"))


def _byte_alphabet() -> dict[str, int]:
    """Return the byte behind each character of the byte-level alphabet (GPT-2's printable stand-ins for bytes)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    alphabet = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    alphabet.update({chr(256 + number): byte for number, byte in enumerate(others)})
    return alphabet


_BYTE_OF = _byte_alphabet()
