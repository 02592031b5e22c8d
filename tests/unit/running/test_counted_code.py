"""What counts of a statement for the digest of the code, and what only people read."""

import ast

import pytest

from posologie.running.counted_code import counted_text

PROSE = [
    ('logging.getLogger(__name__).info("a")', 'logging.getLogger(__name__).info("b")'),
    ('raise InputError("a" + name)', 'raise InputError("b" + name)'),
    ('raise InputError(name + "a")', 'raise InputError(name + "b")'),
    ('raise InputError("a" if many else "b")', 'raise InputError("c" if many else "b")'),
    ("from posologie import running", ""),
    ("from json import dumps as write, dumps as text", "from json import dumps as text, dumps as write"),
]
CODE = [
    ('reader.warn("a")', 'reader.warn("b")'),
    ('make().info("a")', 'make().info("b")'),
    ('logging.getLogger(name()).info("a")', 'logging.getLogger(other()).info("a")'),
    ('raise InputError("a" if many else first)', 'raise InputError("b" if many else first)'),
    ('raise InputError(f"{ {name for name in names} }")', 'raise InputError(f"{ {name for name in others} }")'),
    ("log = make(1)", "log = make(2)"),
    ('first = logging.getLogger("a")', 'first = logging.getLogger("b")'),
    ("import logging as log", "import logging as other"),
    ("from json import dumps", "from json import loads"),
]


@pytest.mark.parametrize(("before", "after"), PROSE)
def test_words_for_people_do_not_count(before, after):
    assert counted_text(ast.parse(before)) == counted_text(ast.parse(after))


@pytest.mark.parametrize(("before", "after"), CODE)
def test_what_can_change_a_number_counts(before, after):
    assert counted_text(ast.parse(before)) != counted_text(ast.parse(after))
