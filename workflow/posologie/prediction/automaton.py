"""Masks: the automaton of the answers that may be written, by the bytes of tokens; the published study's masks."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from posologie.prediction.readings import NONE, Reading
from posologie.records.items import LABELS
from posologie.running.errors import InputError

END = -1
"""The symbol of an end token."""
GO_ON = -2
"""The symbol of a token that names no label yet: a separator behind a label, a blank before one."""

_SPACE = ord(" ")
_FIRST = ord(LABELS[0])

# Where a text stands in the grammar; a state beyond `_IN_SEPARATOR` has read so many bytes of the separator.
_OPEN, _SPACED, _LABEL, _GAP, _BLANK_DUE, _IN_SEPARATOR = range(6)


@dataclass(frozen=True, slots=True)
class State:
    """Which labels are taken (bit mask), and where the text stands in the grammar."""

    taken: int = 0
    phase: int = _OPEN

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels taken, ascending."""
        return tuple(label for label in range(len(LABELS)) if self.taken >> label & 1)


@dataclass(frozen=True, slots=True)
class Move:
    """One token that may follow, what it says, and where it leads.

    Attributes:
        slot: place of the token in the automaton's `tokens`.
        symbol: the label that the token names, `END` or `GO_ON`. Tokens with one symbol say the same in this state.
    """

    slot: int
    symbol: int
    state: State


class Automaton(Protocol):
    """What decoding under constraint needs to know of the language of answers."""

    tokens: tuple[int, ...]
    start: State

    def moves(self, state: State) -> tuple[Move, ...]:
        """Return every token that may follow in a state."""
        ...

    def complete(self, state: State) -> bool:
        """Whether the answer needs no further token: nothing but an end could follow."""
        ...


def best_move(moves: Sequence[Move], scores: np.ndarray) -> Move:
    """Return the likeliest token of the likeliest symbol.

    Spellings of one label (with and without a blank) count together, so that a label does not lose for having two.

    Args:
        scores: logits of the automaton's `tokens`, shape (tokens,).
    """
    totals: dict[int, float] = {}
    for move in moves:
        score = float(scores[move.slot])
        totals[move.symbol] = float(np.logaddexp(totals[move.symbol], score)) if move.symbol in totals else score
    symbol = max(totals, key=lambda candidate: (totals[candidate], -candidate))
    return max((move for move in moves if move.symbol == symbol), key=lambda move: (scores[move.slot], -move.slot))


class Vocabulary:
    """The few tokens of a vocabulary that can occur in an answer; compiled once for a tokenizer and a separator."""

    def __init__(
        self, written: Sequence[bytes | None], separator: str, end_tokens: Sequence[int], blank_first: bool = False
    ) -> None:
        """Keep the tokens that are a part of some answer with 26 options.

        Args:
            written: what each token writes (`token_bytes`).
            separator: between labels, as in the training format.
            end_tokens: ids of the tokens that end an answer.
            blank_first: whether the tokenizer spells a label behind the prompt as a blank and a letter.

        Raises:
            InputError: if labels could not be distinguished from the separator, or there is no end token.
        """
        core = separator.strip(" ")
        self.word = bool(core) and (core[0].isalnum() or core[-1].isalnum())
        spaced = separator.startswith(" ") and separator.endswith(" ")
        if not separator or any(character in LABELS for character in core) or (self.word and not spaced):
            expected = "a text that separates: without capital letters, and with blanks around a word"
            raise InputError(f"label_separator = {separator!r}: expected {expected}")
        if not end_tokens:
            raise InputError("the tokenizer has no end token; expected one that ends the assistant's turn")
        self.core = core.encode()
        self.gap = separator.startswith(" ")
        self.blank_first = blank_first
        phases = [
            _OPEN,
            _SPACED,
            _LABEL,
            _BLANK_DUE,
            *([_GAP] if self.gap else []),
            *range(_IN_SEPARATOR + 1, _IN_SEPARATOR + len(self.core)),
        ]
        starts = [State(0, phase) for phase in phases]
        alphabet = {_SPACE, *LABELS.encode(), *self.core}
        texts = {
            token: text
            for token, text in enumerate(written)
            if text and alphabet.issuperset(text) and any(self.read(text, start, len(LABELS)) for start in starts)
        }
        self.tokens = (*sorted(end_tokens), *texts)
        self.ends = len(end_tokens)
        self.texts = (*[b""] * self.ends, *texts.values())

    def read(self, text: bytes, state: State, options: int) -> State | None:
        """Return the state behind `text`, or None if no answer continues so."""
        taken, phase = state.taken, state.phase
        for byte in text:
            if phase in (_OPEN, _SPACED):
                label = byte - _FIRST
                if byte == _SPACE and phase == _OPEN:
                    phase = _SPACED
                elif 0 <= label < options and not taken >> label & 1:
                    taken, phase = taken | 1 << label, _LABEL
                else:
                    return None
            elif phase == _LABEL and byte == _SPACE:
                phase = _GAP if self.core else _SPACED
            elif phase == _BLANK_DUE and byte == _SPACE:
                phase = _SPACED
            elif phase == _BLANK_DUE or (phase == _LABEL and self.word):
                return None
            else:
                read = phase - _IN_SEPARATOR if phase > _IN_SEPARATOR else 0
                if read >= len(self.core) or self.core[read] != byte:
                    return None
                phase = _IN_SEPARATOR + read + 1
                if read + 1 == len(self.core):
                    phase = _BLANK_DUE if self.word else _OPEN
        if phase == _GAP and not self.gap:
            return None  # a blank may come with the separator's token, as WordPiece writes it, but not by itself
        return State(taken, phase)


class LabelAutomaton:
    """The answers to a question with so many options, as tokens."""

    start = State()

    def __init__(self, vocabulary: Vocabulary, options: int, several: bool) -> None:
        """Prepare the automaton; what may follow in a state is worked out when first asked for, and kept.

        Args:
            options: number of options, 2 to 26.
            several: whether an answer may name more than one label.

        Raises:
            InputError: if the tokenizer cannot spell one of the labels.
        """
        self.vocabulary = vocabulary
        self.tokens = vocabulary.tokens
        self.options = options
        self.most = options if several else 1
        self._moves: dict[State, tuple[Move, ...]] = {}
        spelt = {move.symbol for move in self.moves(self.start)}
        for label in range(options):
            if label not in spelt:
                raise InputError(f"label '{LABELS[label]}': the tokenizer has no token that spells it")

    def complete(self, state: State) -> bool:
        """Whether as many labels are named as may be."""
        return state.phase == _LABEL and state.taken.bit_count() == self.most

    def moves(self, state: State) -> tuple[Move, ...]:
        """Return every token that may follow in a state.

        A blank by itself is left out unless the tokenizer spells labels that way: a letter and a blank with a letter
        are tokens of their own, and a model never saw the label in two pieces.
        """
        if state not in self._moves:
            self._moves[state] = tuple(self._compiled(state))
        return self._moves[state]

    def _compiled(self, state: State) -> Iterator[Move]:
        vocabulary = self.vocabulary
        if state.phase == _LABEL:
            yield from (Move(slot, END, state) for slot in range(vocabulary.ends))
        if self.complete(state):
            return
        for slot in range(vocabulary.ends, len(vocabulary.tokens)):
            text = vocabulary.texts[slot]
            behind = vocabulary.read(text, state, self.options)
            if behind is None or behind.taken.bit_count() > self.most:
                continue
            if behind.taken.bit_count() == self.most and behind.phase != _LABEL:
                continue
            if state.phase == _OPEN and behind.phase == _SPACED and not vocabulary.blank_first:
                continue
            yield Move(slot, GO_ON if state.phase == _LABEL else _first_label(text, state, behind), behind)


def _first_label(text: bytes, before: State, behind: State) -> int:
    new = behind.taken & ~before.taken
    if not new:
        return GO_ON
    return next(byte - _FIRST for byte in text if 0 <= byte - _FIRST < len(LABELS))


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
    extra_tokens = tokenizer.added_tokens_decoder
    special = set(tokenizer.all_special_ids) | {index for index, token in extra_tokens.items() if token.special}
    byte_level = _is_byte_level(tokenizer)
    anchor = _anchor(tokenizer, special)
    before = _decoded(tokenizer, [anchor])
    written: list[bytes | None] = [None] * size
    byte_pieces = []
    for index, piece in enumerate(pieces):
        if piece is None or index in special:
            continue
        if byte_level and index not in extra_tokens and all(character in _BYTE_OF for character in piece):
            written[index] = bytes(_BYTE_OF[character] for character in piece)
        elif match := _BYTE_PIECE.fullmatch(piece):
            written[index] = bytes([int(match.group(1), 16)])
            byte_pieces.append(index)
        else:
            text = _decoded(tokenizer, [anchor, index])
            if text.startswith(before) and _REPLACEMENT not in text:
                written[index] = text[len(before) :].encode()
    fallback = set(byte_pieces)
    whole = {text for index, text in enumerate(written) if index not in fallback}
    for index in byte_pieces:
        if written[index] in whole:
            written[index] = None
    return written


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


SEPARATOR = -3
"""The symbol of a separator, which may stand anywhere."""


class PublishedAutomaton:
    """Any sequence of the last pieces of labels, separators and the end of text, up to so many tokens.

    The phase of a state counts its tokens.
    """

    start = State(0, 0)

    def __init__(self, tokenizer: Any, separator: str, options: int, most_tokens: int) -> None:
        """Take the last piece of each label as the tokenizer writes it by itself."""
        pieces = [tokenizer.encode(text, add_special_tokens=False)[-1] for text in (*LABELS[:options], separator)]
        self.tokens = (*pieces, int(tokenizer.eos_token_id))
        self.options = options
        self.most_tokens = most_tokens

    def complete(self, state: State) -> bool:
        """Whether the tokens have run out."""
        return state.phase >= self.most_tokens

    def moves(self, state: State) -> tuple[Move, ...]:
        """Return every token of the mask; it is the same in every state."""
        behind = state.phase + 1
        labels = [Move(slot, slot, State(state.taken | 1 << slot, behind)) for slot in range(self.options)]
        separator = Move(self.options, SEPARATOR, State(state.taken, behind))
        return (*labels, separator, Move(self.options + 1, END, state))


def read_published(text: str, options: Sequence[str]) -> Reading:
    """Read a text that holds nothing but letters of labels, commas and blanks."""
    letters = [character for character in text if not character.isspace() and character != ","]
    if not letters or any(letter not in LABELS[: len(options)] for letter in letters):
        return NONE
    return Reading("labels", tuple(sorted({LABELS.index(letter) for letter in letters})))
