"""Backbones with an adapter: as peft makes them, and as a job trained them and `merge` joins them."""

import json

import peft

from posologie.release.merge import main as merge

SPEC = json.dumps({"model": "tiny/NAT/seed-42"})


def adapted(model, recipe):
    """Return the backbone with a stock peft adapter."""
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.target_modules),
        use_dora=recipe.method == "dora",
        use_rslora=recipe.method == "rslora",
        init_lora_weights="pissa" if recipe.method == "pissa" else True,
    )
    return peft.get_peft_model(model, config)


def merged(done, backbone, folder):
    """Merge a job's adapter into its backbone and return the manifest."""
    manifest = folder / "merged" / "manifest.json"
    words = {
        "spec": SPEC,
        "backbone": backbone,
        "adapter-weights": done.options.weights,
        "adapter-config": done.options.config,
        "manifest": manifest,
    }
    merge([f"--{name}={value}" for name, value in words.items()])
    return manifest
