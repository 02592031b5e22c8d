"""Prompts as they were sent: rendered again, compared with the recorded numbers of tokens, and kept as frames.

A frame is a prompt in which marks stand for an item's question, context and options, so that a study needs a handful of
them for all its items. A prompt that its frame does not give back letter by letter is kept as it is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from posologie.records.files import read_json, sha256_of_file
from posologie.records.items import Item
from posologie.records.prompting import Prompting, chat
from posologie.report.spec import BrowserSpec, PromptForm
from posologie.running.errors import InputError

QUESTION, CONTEXT, FIRST_OPTION = "\ue000", "\ue001", 0xE010
"""Private characters that stand for the parts of an item; displayed option k is `FIRST_OPTION` + k."""

_MARK = re.compile("[\ue000\ue001\ue010-\ue029]")
_WEIGHTS = (".safetensors", ".gguf")
Turns = list[list[str]]
"""Role and text of each turn; a prompt in a chat template is one turn without a role."""


class Sent:
    """The prompts of the models of a study.

    Attributes:
        frames: those that items name by their number.
    """

    def __init__(self, spec: BrowserSpec, manifests: Mapping[str, Path]) -> None:
        """Load the tokenizers.

        Args:
            manifests: of each backbone that a form names.

        Raises:
            InputError: if one is missing, or its tokenizer's files are not those of the manifest.
        """
        self.frames: list[Turns] = []
        self._numbers: dict[str, int] = {}
        self._forms = spec.forms
        self._prompting = spec.prompting or Prompting()
        self._chats = [_chats(form, manifests) for form in spec.forms]
        self._frame_number = cache(self._frame_of)

    @property
    def first_models(self) -> list[str]:
        """The first model of each form: all of a form were sent the same."""
        return [form.models[0] for form in self._forms]

    def prompts(
        self, records: Sequence[Mapping[str, Any]], orders: Sequence[Sequence[Sequence[int]]], tokens: Sequence[Any]
    ) -> list[list[list[Any]]]:
        """Return, for each item, the prompt of each form and variant.

        Args:
            records: rows of a table of items.
            orders: of each item, the option order of each variant.
            tokens: for each form and item, the recorded number of tokens of each variant's prompt.

        Returns:
            For each item, form and variant: the number of a frame, or the turns themselves; then, where it differs
            from the recorded one, the number of tokens that the prompt has now; and whether its context was shortened.
        """
        items = [_item(record) for record in records]
        prompts_of: list[list[list[Any]]] = [[] for _ in items]
        for number, chats in enumerate(self._chats):
            rows = [
                (place, item, order, recorded)
                for place, item in enumerate(items)
                for order, recorded in zip(orders[place], tokens[number][place], strict=True)
            ]
            counts: list[int | None] = [None] * len(rows)
            if chats is not None:
                texts = [chats.prompt(chat(item, order, self._prompting)) for _, item, order, _ in rows]
                counts = [len(ids) for ids, _, _ in chats.tokens(texts)]
            of_form: list[list[Any]] = [[] for _ in items]
            for (place, item, order, recorded), count in zip(rows, counts, strict=True):
                of_form[place].append(self._prompt(number, item, order, recorded, count))
            for place, prompts in enumerate(of_form):
                prompts_of[place].append(prompts)
        return prompts_of

    def _prompt(self, form: int, item: Item, order: Sequence[int], recorded: int, count: int | None) -> Any:
        shortened = None if count is None or count <= recorded else self._shortened(form, item, order, recorded)
        turns = self._turns(form, shortened or item, order)
        lines = item.source if item.source in self._prompting.sources else ""
        number = self._frame_number(form, lines, len(order), bool(item.context))
        same = filled(self.frames[number], item, order) == turns
        differs = count is not None and count != recorded and shortened is None
        if same and not differs:
            return number
        return [turns, count if differs else None, shortened is not None]

    def _frame_of(self, form: int, source: str, options: int, context: bool) -> int:
        empty = Item(
            id="",
            source=source,
            provenance="",
            split="test",
            task="oeq",
            question=QUESTION,
            context=CONTEXT if context else "",
            options=(),
            gold=(),
            answer="",
            group="",
        )
        marked = replace(empty, options=tuple(chr(FIRST_OPTION + place) for place in range(options)))
        frame = self._turns(form, marked, range(options))
        key = json.dumps(frame)
        if key not in self._numbers:
            self._numbers[key] = len(self.frames)
            self.frames.append(frame)
        return self._numbers[key]

    def _turns(self, form: int, item: Item, order: Sequence[int]) -> Turns:
        turns, chats = chat(item, order, self._prompting), self._chats[form]
        if chats is None:
            return [[turn["role"], turn["content"]] for turn in turns]
        return [["", chats.shown(chats.prompt(turns))]]

    def _shortened(self, form: int, item: Item, order: Sequence[int], recorded: int) -> Item | None:
        """Return the item with the beginning of its context that gives the recorded number of tokens; None without one.

        Prediction leaves the longest beginning that fits the model's positions (`posologie.prediction.model`).
        """
        from posologie.models.chats import cuts_of

        chats = self._chats[form]
        cuts = cuts_of(item.context, chats.tokenizer) if item.context else []
        low, high = 0, len(cuts) - 1
        while low <= high:
            middle = (low + high) // 2
            shorter = replace(item, context=cuts[middle])
            count = len(chats.ids(chats.prompt(chat(shorter, order, self._prompting))))
            if count == recorded:
                return shorter
            low, high = (middle + 1, high) if count < recorded else (low, middle - 1)
        return None


def filled(frame: Turns, item: Item, order: Sequence[int]) -> Turns:
    """Return a frame with the parts of an item in place of the marks, as the page fills it."""
    parts = {QUESTION: item.question, CONTEXT: item.context}
    parts |= {chr(FIRST_OPTION + place): item.options[index] for place, index in enumerate(order)}
    return [[role, _MARK.sub(lambda mark: parts.get(mark[0], mark[0]), text)] for role, text in frame]


def _item(record: Mapping[str, Any]) -> Item:
    texts = {name: record[name] for name in Item.__slots__ if name not in ("options", "gold", "meta")}
    return Item(**texts, options=tuple(record["options"]), gold=tuple(record["gold"]))


def _chats(form: PromptForm, manifests: Mapping[str, Path]) -> Any:
    """Return what writes the prompts of a form; None where a server got the turns themselves."""
    if not form.backbone:
        return None
    if form.backbone not in manifests:
        raise InputError(f"--backbones: expected the manifest of {form.backbone}, which {form.models[0]} answers with")
    from posologie.models.chats import Chats
    from posologie.models.load import load_tokenizer

    return Chats(load_tokenizer(_checked(manifests[form.backbone])), form.chat, form.backbone)


def _checked(manifest: Path) -> Path:
    """Return the folder of a manifest whose files are as it says; weights are not read, for they write no prompt."""
    for name, expected in read_json(manifest)["files"].items():
        file = manifest.parent / name
        if not name.endswith(_WEIGHTS) and (not file.is_file() or sha256_of_file(file) != expected):
            raise InputError(f"{file}: not the file that {manifest} lists; delete the manifest to fetch it again")
    return manifest.parent
