"""Chats as tokens: the one form in which training, prediction, judging and serving put a chat to a backbone.

A prompt is what the chat template writes for a chat without an answer, and behind it what the template writes before an
answer: templates of hybrid-thinking models put an empty thought there, which a prompt without it would leave out. What
an example of training holds before its answer is therefore what prediction shows, token by token (`Chats.prove`).

Contents are text. Where one holds the text of a control token (`<|im_end|>` in a question), it is tokenised by a copy
of the tokenizer that does not know the token under that name.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from posologie.models.spec import ChatForm
from posologie.running.errors import InputError

Turn = dict[str, str]
"""`role` and `content`."""

_OPENS, _CLOSES = "\ufdd0", "\ufdd1"
"""Noncharacters around the number of a control token whose text a content holds."""
_RENAMED = 0xF0000
"""First of the private characters by which the copy of the tokenizer knows control tokens."""
_PROBE = "Probe"
_THOUGHT = re.compile(r"[<\[◁](?:[^<>\n]{0,20})(?:think|thought|reason|reflection|channel|unused9[45])", re.IGNORECASE)
"""What marks of thoughts look like. How a reply is split at them stands in `posologie.language.marks`, which is not
behind training."""


class Chats:
    """Renders and tokenises chats for one tokenizer and one form."""

    def __init__(self, tokenizer: Any, form: ChatForm | None = None, name: str = "the chat template") -> None:
        """Work out what stands before an answer.

        Args:
            name: of the backbone, for errors.

        Raises:
            InputError: if the template does not put an answer behind the prompt, and the form does not say what to put
                before it.
        """
        self.tokenizer, self.form, self.name = tokenizer, form or ChatForm(), name
        self._controls = _controls(tokenizer)
        self._pattern = re.compile("|".join(map(re.escape, self._controls)) or r"(?!)")
        self._copy: Any = None
        user = {"role": "user", "content": _PROBE}
        prompt = self._rendered([user], prompting=True)
        whole = self._rendered([user, {"role": "assistant", "content": _PROBE}], prompting=False)
        before, answer, self._tail = whole.rpartition(_PROBE)
        self._own = bool(answer) and before.startswith(prompt)
        if not self._own and self.form.answer_prefix is None:
            raise InputError(
                f"{name}: the chat template does not put the answer after the prompt; put into answer_prefix"
                " the text between them, such as '\\n</think>\\n\\n'"
            )
        derived = before[len(prompt) :] if self._own else ""
        self.lead = derived if self.form.answer_prefix is None else self.form.answer_prefix
        self._own = self._own and self.lead == derived

    def prompt(self, turns: Sequence[Turn]) -> str:
        """Return the text up to the answer; of a model that thinks, up to its thought."""
        text = self._rendered(turns, prompting=True)
        return text if self.form.thinking and _THOUGHT.search(self.lead) else text + self.lead

    def example(self, turns: Sequence[Turn], answer: str) -> tuple[str, str]:
        """Return the prompt of a chat, and the whole of it with its answer.

        Raises:
            InputError: if the template writes something else before this answer.
        """
        prompt = self.prompt(turns)
        if not self._own:
            return prompt, self._rendered(turns, prompting=True) + self.lead + self._protected(answer) + self._tail
        whole = self._rendered([*turns, {"role": "assistant", "content": answer}], prompting=False)
        if not whole.startswith(prompt) or len(whole) == len(prompt):
            raise InputError(f"{self.name}: the chat template does not put the answer after the prompt")
        return prompt, whole

    def shown(self, rendered: str) -> str:
        """Return a rendered text as a person reads it."""
        return re.sub(rf"{_OPENS}(\d+){_CLOSES}", lambda match: self._controls[int(match[1])], rendered)

    def ids(self, rendered: str) -> list[int]:
        """Return the tokens of a rendered text."""
        return self.tokens([rendered])[0][0]

    def tokens(self, rendered: Sequence[str], prompts: Sequence[str] = ()) -> list[tuple[list[int], int, int]]:
        """Return the tokens of rendered texts, and where their answers begin and end.

        Args:
            prompts: the beginning of each text, up to its answer.

        Returns:
            Tokens; the first token that reaches behind the prompt; the first that lies behind the text without its
            closing white space.
        """
        harmless = [_OPENS not in text for text in rendered]
        offsets_wanted = bool(prompts)
        batch = [text for text, plain in zip(rendered, harmless, strict=True) if plain]
        encoded = (
            self.tokenizer(batch, add_special_tokens=False, return_offsets_mapping=offsets_wanted) if batch else {}
        )
        ids = iter(encoded.get("input_ids", ()))
        offsets = iter(encoded.get("offset_mapping", ()))
        tokenised = []
        for place, (text, plain) in enumerate(zip(rendered, harmless, strict=True)):
            prompt = prompts[place] if prompts else ""
            if plain:
                tokens, spans = list(next(ids)), next(offsets) if offsets_wanted else []
            else:
                text, prompt = self._renamed(text), self._renamed(prompt)
                tokens, spans = self._apart(text)
            ends = np.array(spans, np.int64).reshape(-1, 2)
            first = int(np.searchsorted(ends[:, 1], len(prompt), side="right")) if prompts else 0
            last = int(np.searchsorted(ends[:, 0], len(text.rstrip()), side="left")) if prompts else len(tokens)
            tokenised.append((tokens, first, last))
        return tokenised

    def prove(self, name: str, turns: Sequence[Turn], answer: str) -> None:
        """Check that prompt and answer are tokenised apart as they are in an example of training.

        Raises:
            InputError: naming the item where a token reaches over the border.
        """
        prompt, whole = self.example(turns, answer)
        alone = self.ids(prompt)
        [(together, first, _)] = self.tokens([whole], [prompt])
        if together[:first] != alone:
            raise InputError(
                f"{self.name}: item '{name}': the prompt ends inside a token of the training example"
                f" ({self.tokenizer.decode(together[max(0, first - 1) : first + 1])!r}); put into answer_prefix"
                " the text between prompt and answer"
            )

    def _rendered(self, turns: Sequence[Turn], *, prompting: bool) -> str:
        protected = [{**turn, "content": self._protected(turn["content"])} for turn in turns]
        options: dict[str, Any] = dict(self.form.template_options)
        if prompting:
            options["add_generation_prompt"] = True
        return str(self.tokenizer.apply_chat_template(protected, tokenize=False, **options))

    def _protected(self, content: str) -> str:
        """Return a content with a number in the place of each control token's text."""
        content = content.replace(_OPENS, "\ufffd").replace(_CLOSES, "\ufffd")
        return self._pattern.sub(lambda match: f"{_OPENS}{self._controls.index(match[0])}{_CLOSES}", content)

    def _renamed(self, rendered: str) -> str:
        """Return a rendered text as the copy of the tokenizer reads it: control tokens under their private names."""
        text = self._pattern.sub(lambda match: chr(_RENAMED + self._controls.index(match[0])), rendered)
        return self.shown(text)

    def _apart(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        if self._copy is None:
            self._copy = _copy_without(self.tokenizer, self._controls, self.name)
        encoding = self._copy.encode(text, add_special_tokens=False)
        return list(encoding.ids), list(encoding.offsets)


def cuts_of(text: str, tokenizer: Any) -> list[str]:
    """Return the beginnings of a text that a cut may leave, the empty one first: they end where a token ends.

    A cut inside a word goes back to the blank before it, where the script has blanks.
    """
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    beginnings = {""}
    for _, end in offsets[:-1]:
        beginning = text[:end]
        if not text[end : end + 1].isspace() and (word := re.search(r"\s\S{0,40}\Z", beginning)):
            beginning = beginning[: word.start()]
        beginnings.add(beginning.rstrip())
    return sorted(beginnings, key=len)


def _controls(tokenizer: Any) -> list[str]:
    """Return the texts of the tokens that steer a chat, long ones first.

    They are the special tokens, and of the other added ones those that the template writes or that mark thoughts: a
    vocabulary may also have blanks and HTML tags among its added tokens.
    """
    template = tokenizer.chat_template if isinstance(getattr(tokenizer, "chat_template", None), str) else ""
    extra_tokens = getattr(tokenizer, "added_tokens_decoder", {}).values()
    controls = {
        token.content
        for token in extra_tokens
        if token.content.strip() and (token.special or token.content in template or _THOUGHT.search(token.content))
    }
    return sorted(controls, key=lambda content: (-len(content), content))


def _copy_without(tokenizer: Any, controls: Sequence[str], name: str) -> Any:
    """Return a copy of a fast tokenizer that knows control tokens under private names alone, with the same ids."""
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InputError(f"{name}: a text holds a control token's text; expected a tokenizer of the package tokenizers")
    names = {content: chr(_RENAMED + number) for number, content in enumerate(controls)}
    described = json.loads(backend.to_str())
    described["truncation"] = described["padding"] = described["post_processor"] = None
    for token in described["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = described["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(piece, piece): number for piece, number in model["vocab"].items()}
    else:
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    return Tokenizer.from_str(json.dumps(described))
