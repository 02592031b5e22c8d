"""Thoughts are parted from answers in every form that models write, and marks are found."""

import pytest

from posologie.language.marks import Parted, control_marks, has_mark, opens_thought, part, without_control

HARMONY = "<|channel|>analysis<|message|>"
FINAL = "<|start|>assistant<|channel|>final<|message|>"


@pytest.mark.parametrize(
    ("before", "thoughts", "between", "answer", "behind"),
    [
        ("<think>\n", "A\n\na", "\n</think>\n\n", "B\n\nb", "\n"),
        (" <think>", "A", "</think>", "B", ""),
        ("<thinking>", "A", "</thinking>", "B", ""),
        ("<reasoning>", "A", "</reasoning>", "B", ""),
        ("[THINK]", "A", "[/THINK] ", "B", "\n"),
        ("◁think▷", "A", "◁/think▷", "B", ""),
        ("<seed:think>", "A", "</seed:think>", "B", ""),
        ("<unused94>thought\n", "A", "<unused95>", "B", ""),
        ("<unused94>", "thoughtful", "<unused95>", "B", ""),
        ("<|begin_of_thought|> ", "A", " <|end_of_thought|>\n<|begin_of_solution|>\n", "B", "\n<|end_of_solution|>\n"),
        ("<|START_THINKING|>", "A", "<|END_THINKING|><|START_RESPONSE|>", "B", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>"),
        (HARMONY, "A", f"<|end|>{FINAL}", "B", "<|return|>"),
        (HARMONY, "A", f"<|end|> {FINAL}", "B", " <|end|> "),
        (f"<|start|>assistant{HARMONY}", "A", "<|channel|>final <|constrain|>json<|message|>", "B", ""),
        ("<|channel|>commentary to=f<|message|>", "A", FINAL, "B", ""),
        ("analysis", "A.", "assistantfinal", "B", ""),
        ("analysis", "A.\na", "final", "B\nb", ""),
        ("## Thinking\n\n", "A\n\n# a", "\n\n## Final Response\n\n", "B", ""),
        ("# Thinking: ", "A", "\n### Final Answer:", "B", ""),
        ("<think>", "A <think> a", "</think>", "B", ""),
        ("<think>", "the mark </think> ends it", "</think>", "B", ""),
        ("<think>", "A </think> B <think> C", "</think>", "D", ""),
        ("<think>", "A", "</think>", "B", "\n<think>never ended"),
        ("", "A", "</think>", "B", ""),
        ("<think>", "A", "</think>", "<|x|> B", "<|end|>"),
        ("<think>", "A", " <|end|> </think>", "B", ""),
        ("<think>\n", "", "\n</think>\n\n", "B", ""),
    ],
)
@pytest.mark.parametrize("opened", [True, False])
def test_an_answer_is_what_follows_the_last_thought(before, thoughts, between, answer, behind, opened):
    start = len(before + thoughts + between)
    expected = Parted(thoughts, answer, start, start + len(answer))
    assert part(before + thoughts + between + answer + behind, opened=opened) == expected


@pytest.mark.parametrize("behind", ["", "\n", "<|end|>", "<think>again", "<|end_of_solution|> <|return|>"])
def test_a_thought_without_an_answer_has_its_place_at_the_end(behind):
    reply = f"<think>A</think>{behind}"
    assert part(reply) == Parted("A", "", len(reply), len(reply))


@pytest.mark.parametrize(
    "reply",
    ["B", " B\n", "analysis shows B", "analysisA finally B", "B\n## Final Response\nC", "<|START_RESPONSE|>B", ""],
)
def test_a_reply_without_marks_is_an_answer_as_it_is_or_a_thought_that_the_prompt_opened(reply):
    assert part(reply) == Parted("", reply, 0, len(reply))
    assert part(reply, opened=True) == Parted(reply.strip(), "", len(reply), len(reply))


@pytest.mark.parametrize("reply", ["<think>A \n", "\n<think>\nA", "[THINK]A", f"{HARMONY}A<|end|>", "## Thinking\nA"])
@pytest.mark.parametrize("opened", [True, False])
def test_a_thought_that_never_ends_leaves_no_answer(reply, opened):
    assert part(reply, opened=opened) == Parted("A", "", len(reply), len(reply))


def test_a_thought_behind_an_answer_that_never_ends_leaves_the_answer():
    assert part(" B\n<think>A") == Parted("A", "B", 1, 2)
    assert part("B<think>A") == Parted("A", "B", 0, 1)


def test_a_mark_inside_a_thought_that_the_prompt_opened_is_part_of_it():
    assert part("one writes <think> first", opened=True) == Parted("one writes <think> first", "", 24, 24)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("a<think>b", True),
        ("a</think>", True),
        ("<unused95>", True),
        ("\n## Thinking\n", True),
        ("## Final Response", False),
        ("I think", False),
        ("", False),
    ],
)
def test_marks_of_thoughts_are_found(text, marked):
    assert has_mark(text) is marked


@pytest.mark.parametrize(
    ("prompt", "opens"),
    [
        ("question<think>", True),
        ("<think>", True),
        ("question<think>\n", True),
        ("question<think>\n \n", True),
        ("<think>a</think><think>\n", True),
        (f"question{HARMONY}", True),
        ("question<think>\n\n</think>\n", False),
        ("</think>", False),
        ("question <think> is a tag\nand more", False),
        ("question", False),
        ("", False),
    ],
)
def test_a_prompt_that_ends_in_an_open_thought_is_known(prompt, opens):
    assert opens_thought(prompt) is opens


@pytest.mark.parametrize(
    ("text", "marks", "without"),
    [
        ("a<|im_end|>b</s>c<|im_end|>", ["<|im_end|>", "</s>"], "a b c"),
        (" [INST] a [/INST]\n", ["[INST]", "[/INST]"], "a"),
        ("<｜end▁of▁sentence｜>", ["<｜end▁of▁sentence｜>"], ""),
        ("<bos>a<unused12><|endoftext|>", ["<bos>", "<unused12>", "<|endoftext|>"], "a"),
        (" 1 < 2 |> <b>\n", [], " 1 < 2 |> <b>\n"),
    ],
)
def test_control_marks_are_listed_once_and_are_no_part_of_what_a_text_says(text, marks, without):
    assert control_marks(text) == marks
    assert without_control(text) == without
