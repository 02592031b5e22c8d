"""The sides of `prediction_speed.py`: each is a process with a model that answers the items it is asked.

Each side is a function that loads what it needs and returns another one, which answers requests with the chosen label
of each (or None) and with facts.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

FLOORS = ("floor, prompt by prompt", "floor, side by side")


def ours(options):
    from posologie.prediction.local import LocalModel
    from posologie.prediction.model import load
    from posologie.records.prompting import Prompting

    asked = LocalModel(load(Path(options.model), options.precision), Prompting(), options.chunk_tokens)

    def answer(requests):
        before = asked.computed_tokens
        by_place = {reply.place: reply for some in asked.answers(requests, frozenset()) for reply in some}
        likeliest = [
            max(range(len(p)), key=p.__getitem__) for p in (by_place[r.place].label_probabilities for r in requests)
        ]
        return likeliest, {
            "prompt tokens": sum(reply.prompt_tokens for reply in by_place.values()),
            "computed": asked.computed_tokens - before,
        }

    return answer


def loaded(options):
    from posologie.models.load import load_model, load_tokenizer
    from posologie.models.store import checked_folder

    folder = checked_folder(options.model)
    return load_model(folder, precision=options.precision), load_tokenizer(folder)


def prompt_text(tokenizer, request):
    from posologie.records.prompting import Prompting, chat

    turns = chat(request.item, request.order, Prompting())
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def published(options):
    import torch

    model, tokenizer = loaded(options)
    masks = {}

    def allowed(count):
        if count not in masks:
            texts = [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count], ","]
            ends = [tokenizer.encode(text, add_special_tokens=False)[-1] for text in texts]
            masks[count] = [*ends, tokenizer.eos_token_id]
        return masks[count]

    def answer(requests):
        answers = []
        for request in requests:
            inputs = tokenizer(prompt_text(tokenizer, request), return_tensors="pt", add_special_tokens=False)
            inputs = inputs.to(model.device)
            count = len(request.order)
            settings = {
                "max_new_tokens": 1 if request.item.task == "mcqu" else 2 * count,
                "do_sample": False,
                "return_dict_in_generate": True,
                "output_scores": True,
                "pad_token_id": tokenizer.eos_token_id,
            }
            with torch.no_grad():
                model.generate(**inputs, **settings)
                tokens = allowed(count)
                constrained = model.generate(**inputs, **settings, prefix_allowed_tokens_fn=lambda *_, t=tokens: t)
            text = tokenizer.decode(constrained.sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            answers.append("ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(text[:1]) if text else None)
        return answers, {}

    return answer


def floor(options, packed):
    import numpy as np
    import torch

    model, tokenizer = loaded(options)

    def forward(tokens, positions=None, mask=None, keep=1):
        place = {"device": model.device}
        extra = (
            {}
            if positions is None
            else {
                "position_ids": torch.tensor(positions, **place),
                "attention_mask": torch.tensor(mask, **place)[:, None],
            }
        )
        kept = keep if isinstance(keep, int) else torch.tensor(keep, **place)
        with torch.inference_mode():
            ids = torch.tensor(tokens, **place)
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=kept, **extra).logits
        return logits.reshape(-1, logits.shape[-1]).float().cpu()

    def side_by_side(prompts):
        rows, room = [[]], 256
        for prompt in sorted(prompts, key=len, reverse=True):
            if rows[-1] and sum(map(len, rows[-1])) + len(prompt) > room:
                rows.append([])
            rows[-1].append(prompt)
        width = max(sum(map(len, row)) for row in rows)
        tokens, positions = np.zeros((2, len(rows), width), dtype=np.int64)
        mask = np.zeros((len(rows), width, width), dtype=bool)
        mask[:, range(width), range(width)] = True
        keep = np.zeros((len(rows), width), dtype=bool)
        for number, row in enumerate(rows):
            start = 0
            for prompt in row:
                stop = start + len(prompt)
                tokens[number, start:stop], positions[number, start:stop] = prompt, range(len(prompt))
                mask[number, start:stop, start:stop] = np.tri(len(prompt), dtype=bool)
                keep[number, stop - 1] = True
                start = stop
        return forward(tokens, positions, mask, keep)

    def answer(requests):
        prompts = [tokenizer.encode(prompt_text(tokenizer, request), add_special_tokens=False) for request in requests]
        if not packed:
            for prompt in prompts:
                forward([prompt])
            return None, {}
        chunk, filled = [], 0
        for prompt in prompts:
            if chunk and filled + len(prompt) > (options.chunk_tokens or 2048):
                side_by_side(chunk)
                chunk, filled = [], 0
            chunk.append(prompt)
            filled += len(prompt)
        side_by_side(chunk)
        return None, {}

    return answer


def lm_eval(options):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = loaded(options)
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=options.batch)

    def answer(requests):
        instances = []
        for request in requests:
            context = prompt_text(tokenizer, request)
            labels = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(request.order)]
            instances += [Instance("loglikelihood", {}, (context, label), index) for index, label in enumerate(labels)]
        scores = iter(harness.loglikelihood(instances, disable_tqdm=True))
        times = []
        for request in requests:
            shares = [next(scores)[0] for _ in request.order]
            times.append(max(range(len(shares)), key=shares.__getitem__))
        return times, {}

    return answer


def serve(options):
    """Be one side: answer the items that each line of standard input names."""
    import torch

    from posologie.prediction.requests import requests_for
    from posologie.prediction.spec import Benchmark, PredictionSpec, Suite
    from posologie.records.items import read_items
    from posologie.records.prompting import Prompting

    torch.set_num_threads(options.threads)
    items = read_items(options.items)

    def asked(numbers, permutations):
        suite = Suite(benchmarks={"all": Benchmark(source="x")}, permutations=permutations)
        spec = PredictionSpec(model="m", suites={"s": suite}, prompting=Prompting(), seed=1)
        return requests_for([items[number] for number in numbers], "s", "all", suite, spec, 0)

    sides = {
        "ours": lambda: ours(options),
        "published": lambda: published(options),
        FLOORS[0]: lambda: floor(options, packed=False),
        FLOORS[1]: lambda: floor(options, packed=True),
        "lm-eval": lambda: lm_eval(options),
    }
    answer = sides[options.side]()
    real = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        requests = asked(*json.loads(line))
        wall, cpu = time.perf_counter(), time.process_time()
        chosen, facts = answer(requests)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps({**times, "chosen": chosen, "prompts": len(requests), **facts}), file=real, flush=True)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("side")
    arguments.add_argument("--items", required=True)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--precision", default="float32")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--chunk-tokens", type=int)
    arguments.add_argument("--batch", type=int)
    serve(arguments.parse_args())
