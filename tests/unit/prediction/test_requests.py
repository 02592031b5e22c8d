"""What a model is asked of each item: one request for each variant, with the tokens that its answer may have."""

import pytest
from prediction_made import make_item

from posologie.prediction.requests import Request, requests_for
from posologie.prediction.spec import Benchmark, Questions, Suite
from posologie.records.prompting import Prompting


def asked(items, first_place=0, seed=8, **suite):
    """Return the requests for items of the benchmark `native` of the suite `exam`."""
    exam = Suite(benchmarks={"native": Benchmark(source="demo")}, **suite)
    spec = Questions(model="tiny/base", suites={"exam": exam}, prompting=Prompting(), seed=seed)
    return requests_for(items, "exam", "native", exam, spec, first_place)


def test_every_item_is_asked_in_all_its_variants_and_an_open_question_once():
    choice, question = make_item(1), make_item(2, "oeq")
    places = {"suite": "exam", "benchmark": "native", "protocol": "published"}
    of_choice = {"item": choice, "new_tokens": 1, **places}
    assert asked([choice, question], 40, permutations=2, max_new_tokens=9, protocol="published") == [
        Request(place=40, variant="original", order=(0, 1, 2, 3), **of_choice),
        Request(place=41, variant="permuted-1", order=(2, 0, 3, 1), **of_choice),
        Request(place=42, variant="permuted-2", order=(2, 3, 1, 0), **of_choice),
        Request(place=43, variant="original", order=(), item=question, new_tokens=9, **places),
    ]


def test_the_seed_sets_the_orders_of_the_options():
    orders = {request.order for seed in range(4) for request in asked([make_item(1)], seed=seed, permutations=1)[1:]}
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("task", "options", "protocol", "tokens"),
    [
        ("mcqu", 4, "automaton", 3),
        ("mcqu", 4, "published", 1),  # as in the published study, whatever the suite says
        ("mcq", 4, "automaton", 8),  # each label and what separates it from the next
        ("mcq", 5, "published", 10),
        ("oeq", 4, "published", 100),
        ("oeq", 4, "automaton", 100),
    ],
)
def test_an_answer_may_have_as_many_tokens_as_its_task_needs(task, options, protocol, tokens):
    item = make_item(3, task, options=options)
    [request] = asked([item], mcqu_new_tokens=3, max_new_tokens=100, protocol=protocol)
    assert (request.new_tokens, request.protocol) == (tokens, protocol)
