"""The texts of control tokens in a text: no part of what it says."""

import re

_CONTROL = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|</?s>|<(?:pad|eos|bos|unk|start_of_turn|end_of_turn)>|<unused\d+>|"
    r"\[/?(?:INST|SYSTEM_PROMPT)\]|<\|?(?:end_of_text|endoftext)\|?>"
)


def control_marks(text: str) -> list[str]:
    """Return the texts of control tokens in a text, in order, each once."""
    return list(dict.fromkeys(_CONTROL.findall(text)))


def without_control(text: str) -> str:
    """Return a text without the texts of control tokens, which are no part of what it says."""
    return _CONTROL.sub(" ", text).strip() if _CONTROL.search(text) else text
