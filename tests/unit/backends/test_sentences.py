import pytest
from hypothesis import given
from hypothesis import strategies as st

from posologie.backends.texts import packed, pieces, sentences


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Une femme tousse. Elle a de la fièvre ! Que faire ?", 3),
        ("Le Dr. Martin et le Pr. Durand l'ont vue.", 1),
        ("Le pH est de 7.35. Le K+ est à 3.5 mmol/L.", 2),
        ("(cf. Fig. 2) La toux persiste.", 1),
        ("E. coli résiste. On change.", 2),
        ("Titre\n\nPremier paragraphe\nsuite", 3),
        ("Elle dit : « Oui. » Puis elle part.", 2),
        ("", 0),
        ("患者发热。给予“退热药。”三天后好转！", 3),
        ("患者は発熱した。何をすべきか？", 2),
        ("रोगी को बुखार है। क्या करें? दवा दें।", 3),
        ("يعاني المريض من حمى. ما العلاج؟ راحة وسوائل.", 3),
        ("Šest pacientů. Žádná horečka.", 2),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, count):
    assert len(sentences(text)) == count


@given(st.text(alphabet="aB.!? \n,;é1。”क।م؟", max_size=80), st.integers(1, 20))
def test_pieces_join_to_the_text_and_fit(text, most):
    for cut in (pieces, packed):
        parts = list(cut(text, len, most))
        assert "".join(parts) == text
        assert all(len(part) <= most for part in parts)


def test_a_long_sentence_is_split_at_its_weakest_joint():
    text = "Une fièvre élevée, une toux grasse; un souffle, une dyspnée."
    assert list(pieces(text, len, 40)) == ["Une fièvre élevée, une toux grasse; ", "un souffle, une dyspnée."]
    assert list(pieces(text, len, 24)) == ["Une fièvre élevée, ", "une toux grasse; ", "un souffle, une dyspnée."]


def test_packed_pieces_are_as_long_as_they_may_be():
    assert list(packed("Un. Deux. Trois. Quatre.", len, 11)) == ["Un. Deux. ", "Trois. ", "Quatre."]
