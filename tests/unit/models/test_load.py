"""A loaded tokenizer writes the same prompt on every day, and says in one line what its template refuses."""

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from posologie.models.load import load_tokenizer
from posologie.running.errors import InputError

CHAT = [{"role": "system", "content": "Bref."}, {"role": "user", "content": "Bonjour"}]


def saved(folder, template):
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    return load_tokenizer(folder)


def written(tokenizer, chat=CHAT):
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)


def test_a_template_that_writes_todays_date_writes_the_same_day_for_ever(tmp_path):
    tokenizer = saved(tmp_path, "{{ strftime_now('%d %b %Y') }} {{ messages[1].content }}")
    assert written(tokenizer) == "26 Jul 2024 Bonjour"


def test_a_chat_that_the_template_refuses_is_one_line(tmp_path):
    refusal = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not\nsupported') }}{% endif %}ok"
    tokenizer = saved(tmp_path, refusal)
    assert written(tokenizer, CHAT[1:]) == "ok"
    with pytest.raises(InputError, match=r"the chat template refuses the chat \(System role not supported\)"):
        written(tokenizer)
