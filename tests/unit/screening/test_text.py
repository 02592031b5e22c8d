"""The text by which items are compared."""

import pytest

from posologie.screening.text import normalised


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("À −2,5 DS", "à -2,5 ds"),
        ("À –2,5 DS", "a −2.5 DS"),
        ("(−5)", "( -5 )"),
        ("anti-inflammatoire", "anti–inflammatoire"),
        ("Na−K", "Na-K"),
        ("5-10 ans", "5 – 10 ans"),
        ("5 -10 ans", "5-10 ans"),
        ("le f\u043eie", "le foie"),  # a Cyrillic o
        ("\u0391spirine", "Aspirine"),  # a Greek capital alpha
        ("fo\u200bie", "foie"),
        ("méta\u00adbolisme", "métabolisme"),
        ("ｆｏｉｅ", "foie"),
        ("TNFα", "TNFa"),
        ("5%", "5 %"),
    ],
)
def test_what_only_looks_different_is_the_same(first, other):
    assert normalised([first]) == normalised([other])


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("À −2,5 DS", "À 2,5 DS"),
        ("-5", "5"),
        ("5 %", "5"),
        ("x = -1", "x = 1"),
        ("TNFα", "TNFβ"),
        ("α", "a"),
        ("кот", "kot"),
        ("दिन", "दान"),
        ("ไข้", "ไข่"),
        ("がん", "かん"),
        ("দিন", "দান"),
    ],
)
def test_what_differs_stays_different(first, other):
    assert normalised([first]) != normalised([other])


def test_texts_do_not_touch_each_other():
    assert normalised(["1", "-5", "a", "б"]) == ["1", "−5", "a", "б"]
    assert normalised(["", "x"]) == ["", "x"]
