"""Marks in the text of a model: its thoughts apart from its answer, and control tokens.

Thoughts come in tags (`<think>`: DeepSeek-R1, Qwen3, Magistral's `[THINK]`, Kimi, Command A, Seed), channels (gpt-oss's
harmony form), headings (HuatuoGPT-o1's `## Thinking` and `## Final Response`) and MedGemma's `<unused94>` to
`<unused95>`.
"""

import re
from dataclasses import dataclass

_TAG = r"(?:think|thinking|thoughts?|reasoning|reflection|seed:think)"
_CHANNEL = r"(?:<\|start\|>assistant)?<\|channel\|>\s*{}\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
_OPENING = re.compile(
    rf"<{_TAG}>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|START_THINKING\|>|<unused94>(?:thought\b)?|"
    rf"{_CHANNEL.format('(?:analysis|commentary)')}|\A\s*#+ *Thinking\b:?|\Aanalysis(?=\S).*(?=assistantfinal)"
)
_CLOSING = re.compile(
    rf"</{_TAG}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|END_THINKING\|>|<unused95>|{_CHANNEL.format('final')}"
)
_FINAL_HEADING = re.compile(r"^#+ *Final (?:Response|Answer)\b:?", re.MULTILINE)
_HEADED = re.compile(r"\A\s*#+ *Thinking\b")
_BARE_CHANNELS = re.compile(r"\A(?P<thoughts>analysis\S.*?)(?:assistant)?final(?P<answer>(?!ly).*)\Z", re.DOTALL)
"""The harmony form, decoded without its special tokens."""
_FRAME_OPENS = re.compile(r"\s*(?:(?:<\|begin_of_solution\|>|<\|START_RESPONSE\|>)\s*)?")
_FRAME_CLOSES = ("<|end_of_solution|>", "<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>", "<|return|>", "<|end|>")
"""What templates put around an answer that follows thoughts."""


@dataclass(frozen=True, slots=True)
class Parted:
    """A reply in its two parts.

    Attributes:
        thoughts: what was thought, without the marks around it; empty where nothing was.
        answer: what follows the last thought that ended; empty where the only one never did.
        start: place of the answer in the reply, in characters; the reply's length where there is none.
        end: place behind the answer.
    """

    thoughts: str
    answer: str
    start: int
    end: int


def part(reply: str, *, opened: bool = False) -> Parted:
    """Part a reply into thoughts and answer; a reply without marks is an answer as it is.

    Args:
        opened: whether the prompt had opened a thought already, as templates of models that always think do.
    """
    *_, closing = (None, *_CLOSING.finditer(reply))  # the last one: thoughts may quote a mark
    if closing is None and _HEADED.match(reply):
        closing = _FINAL_HEADING.search(reply)
    if closing is None and (bare := _BARE_CHANNELS.match(reply)):
        return _parted(reply, bare["thoughts"].removeprefix("analysis"), bare.start("answer"), len(reply))
    opening = _OPENING.search(reply, closing.end() if closing else 0)
    end = opening.start() if opening else len(reply)
    if closing is not None:
        return _parted(reply, _OPENING.sub("", reply[: closing.start()], count=1), closing.end(), end)
    if opening is not None and (not opened or not reply[:end].strip()):
        return _parted(reply, reply[opening.end() :], 0, end)
    return _parted(reply, reply, len(reply), len(reply)) if opened else Parted("", reply, 0, end)


def _parted(reply: str, thoughts: str, start: int, end: int) -> Parted:
    """Return thoughts and answer without blanks and marks around them."""
    framed = _FRAME_OPENS.sub("", reply[start:end], count=1)
    start, answer = end - len(framed), framed.rstrip()
    while answer.endswith(_FRAME_CLOSES):
        answer = answer[: answer.rindex("<|")].rstrip()
    if not answer:
        start = len(reply)
    return Parted(thoughts.strip().removesuffix("<|end|>").rstrip(), answer, start, start + len(answer))


def has_mark(text: str) -> bool:
    """Whether a text holds a mark that opens or closes a thought."""
    return _OPENING.search(text) is not None or _CLOSING.search(text) is not None


def opens_thought(prompt: str) -> bool:
    """Whether a prompt ends inside a thought that its template opened."""
    opening = max((match.start() for match in _OPENING.finditer(prompt)), default=-1)
    closing = max((match.start() for match in _CLOSING.finditer(prompt)), default=-1)
    return opening > closing and not prompt[opening:].partition("\n")[2].strip()


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
