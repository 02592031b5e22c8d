"""Items as a model sees them: the real prompt, in the real chat template where there is one, with the gold marked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from posologie.errors import InputError
from posologie.items import Item
from posologie.prompting import Prompting, assistant_turn, chat, option_order

_OPENS, _CLOSES = "\ue0fe", "\ue0ff"
"""Signs of private use, which stand around the right options while a prompt is rendered."""


def example(item: Item, prompting: Prompting, tokenizer: Any) -> dict[str, Any]:
    """Return an item as it is put to a model in training: pieces of text, each `prompt`, `gold` or `answer`.

    Without a tokenizer, the turns stand for themselves. The right options of the prompt are `gold`, and so is the whole
    of the text that is learned, `answer`.
    """
    prompt, answer = _rendered(item, prompting, tokenizer)
    marked = tuple(
        f"{_OPENS}{text}{_CLOSES}" if index in item.gold else text for index, text in enumerate(item.options)
    )
    pieces = _pieces(_rendered(replace(item, options=marked), prompting, tokenizer)[0])
    if "".join(piece["text"] for piece in pieces) != prompt:
        pieces = [{"kind": "prompt", "text": prompt}]
    tokens = None
    if tokenizer is not None:
        tokens = len(tokenizer(prompt + answer, add_special_tokens=False)["input_ids"])
    return {
        **{"id": item.id, "task": item.task, "split": item.split, "tokens": tokens},
        "pieces": [*pieces, {"kind": "answer", "text": answer}],
    }


def token_counts(items: Sequence[Item], prompting: Prompting, tokenizer: Any) -> list[int]:
    """Return the tokens of each item as an example of training."""
    texts = ["".join(_rendered(item, prompting, tokenizer)) for item in items]
    return [len(tokens) for tokens in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []


def _rendered(item: Item, prompting: Prompting, tokenizer: Any) -> tuple[str, str]:
    """Return the prompt, and what the model is to write after it."""
    order = option_order(item.id, len(item.options), "original", 0)
    turns, reply = chat(item, order, prompting), assistant_turn(item, order, prompting)
    if tokenizer is None:
        return "\n\n".join(turn["content"] for turn in turns) + "\n\n", reply
    prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": reply}], tokenize=False)
    if not whole.startswith(prompt):
        raise InputError(f"item '{item.id}': the chat template does not put the answer behind the prompt")
    return prompt, whole[len(prompt) :]


def _pieces(text: str) -> list[dict[str, str]]:
    pieces = []
    for number, part in enumerate(text.split(_OPENS)):
        gold, _, rest = part.partition(_CLOSES) if number else ("", "", part)
        pieces += [{"kind": "gold", "text": gold}, {"kind": "prompt", "text": rest}]
    return [piece for piece in pieces if piece["text"]]
