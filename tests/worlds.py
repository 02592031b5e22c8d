"""The worlds of `config/world.yaml` and `config/demo.yaml`, trained and asked in this process as the jobs do."""

import time
from pathlib import Path

import numpy as np
import torch
import transformers

from posologie.config import job_specs, plan
from posologie.config.load import load_study
from posologie.mixes.__main__ import assembled, train_draws
from posologie.mixes.sampling import read_pool
from posologie.mixes.spec import Mix, MixSpec
from posologie.models.load import end_token_ids, load_model, load_tokenizer
from posologie.models.untrained import make_untrained
from posologie.prediction.local import LocalModel
from posologie.prediction.model import Model
from posologie.prediction.requests import requests_for
from posologie.records.items import read_items, table_to_items
from posologie.sources.world import main as write_shard
from posologie.training.examples import tokenise
from posologie.training.loop import Hooks, train
from posologie.training.processes import Group
from posologie.training.student import PACKED, student_of

ROOT = Path(__file__).resolve().parents[1]
COMPONENTS = ("textbook", "exam", "translated", "synthetic")
CPU = torch.device("cpu")


class World:
    """Shards, backbone and tests of the world, made once in a folder.

    Attributes:
        components: names of the sources that mixes hold, in the order of the study.
        tests: the items of the suite, in the order of item scores.
        initial: weights of the backbone by name.
    """

    def __init__(self, folder, config=ROOT / "config/world.yaml"):
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(1)
        self.study = load_study(config)
        held = {name for mix in self.study.mixes for name in plan.mix_sources(self.study, mix)}
        self.components = tuple(name for name in self.study.sources if name in held)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        (name,) = self.study.backbones
        self.name, self.backbone = name, self.folder / "backbone"
        if not (self.backbone / "model.safetensors").is_file():
            self.backbone.mkdir(exist_ok=True)
            make_untrained(self.study.backbones[name].untrained, self.backbone)
        self.pools = {source: read_pool(source, self._shard(source, "train"), ("mcqu",)) for source in self.components}
        self.tests = read_items(self._shard("board", "test"))
        self.tokenizer = load_tokenizer(self.backbone)
        self.initial = self._copied(self._network())

    def _shard(self, source, split):
        path = self.folder / f"{source}.parquet"
        if not path.is_file():
            spec = job_specs.shard_spec(self.study, source, split).canonical_json()
            recipe = ROOT / self.study.sources[source].path / "recipe.yaml"
            words = ["--spec", spec, "--inputs", recipe, "--items", path, "--processes", "1"]
            write_shard([*map(str, words), *(f"--{name}={path}.{name}" for name in ("rejects", "report"))])
        return path

    def _network(self, **options):
        return load_model(self.backbone, precision="float32", device="cpu", **options)

    @staticmethod
    def _copied(network):
        return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def items(self, shares, size, seed):
        """Return the training items of a mix, as the rule `mix` draws them."""
        held = {name: float(share) for name, share in zip(self.components, shares, strict=True) if share > 0}
        spec = MixSpec(
            name="M",
            mix=Mix(shares=held, size=size, tasks=("mcqu",)),
            seed=seed,
            provenance_of={name: self.study.sources[name].provenance for name in self.components},
            validation=self.study.validation,
        )
        draws, _ = train_draws(spec, {name: self.pools[name] for name in held})
        return list(table_to_items(assembled(draws, seed)))

    def trained(self, shares, size, seed):
        """Return the weights after the training on a mix, by name, and how long the training took, in seconds."""
        recipe = self.study.training.recipe
        spec = job_specs.training_spec(self.study, self.name, next(iter(self.study.mixes)), seed)
        student = student_of(self._network(attn_implementation=PACKED), spec, CPU)
        examples, none = (
            tokenise(items, self.tokenizer, self.study.prompting, recipe.max_length)
            for items in (self.items(shares, size, seed), [])
        )
        hooks = Hooks(save=lambda _: None, seconds_between=float("inf"), updated=lambda _: None)
        start = time.perf_counter()
        train(
            student,
            examples,
            none,
            recipe,
            seed=seed,
            micro_batch=self.study.devices.training_micro_batch,
            group=Group(),
            start=None,
            hooks=hooks,
        )
        return self._copied(student.model), time.perf_counter() - start

    def answers(self, weights):
        """Return [test], whether a model's answer is right, and [test, option], the probabilities of its labels."""
        network = self._network()
        network.load_state_dict(weights)
        model = Model(network.eval(), self.tokenizer, end_token_ids(network, self.tokenizer), {})
        (suite,) = self.study.suites
        spec = job_specs.prediction_spec(self.study, f"{self.name}/base", next(iter(plan.bundles(self.study))))
        requests = requests_for(self.tests, suite, suite, self.study.suites[suite], spec, 0)
        local = LocalModel(model, self.study.prompting, self.study.devices.prediction_chunk_tokens)
        right = np.zeros(len(requests), bool)
        probabilities = np.zeros((len(requests), len(self.tests[0].options)))
        for answers in local.answers(requests, frozenset()):
            for answer in answers:
                right[answer.place] = answer.constrained_labels == requests[answer.place].item.gold
                probabilities[answer.place] = answer.label_probabilities
        return right, probabilities
