"""Recipes side by side: the same steps, data, structure and seeds.

    python benchmarks/train_recipes.py --data_dir=shards/train --eval_dir=shards/test \\
        --arcface_path=teacher.keras --eval_arcface_path=judge.keras \\
        --variants="published;improved;improved --ema=0" --steps=2000 --seeds=0,1

A variant is a recipe and flags of `train.py`. Each run leaves its folder with pictures
in `--runs_dir`. The table holds the validation's measures at the end, on pairs that
nothing was trained on: the mean over the seeds and, in brackets, half their range.
"""

from __future__ import annotations

import json
import pathlib
import shlex

import numpy as np
from absl import app, flags

from facedancer import cli
from facedancer.train import train
from facedancer.train.config import TrainConfig

FLAGS = flags.FLAGS


def words_of(variant, seed):
    """Returns the flags of one run."""
    recipe, *more = shlex.split(variant)
    name = "_".join([recipe, *(word.strip("-").replace("=", "-") for word in more)])
    return name, [
        f"--recipe={recipe}",
        *more,
        f"--seed={seed}",
        f"--log_name={name}/seed_{seed}",
        f"--log_dir={FLAGS.runs_dir}",
        f"--data_dir={FLAGS.data_dir}",
        f"--eval_dir={FLAGS.eval_dir}",
        f"--arcface_path={FLAGS.arcface_path}",
        f"--eval_arcface_path={FLAGS.eval_arcface_path}",
        f"--steps={FLAGS.steps}",
        *(f"--{k}_every={FLAGS.steps}" for k in ("save", "sample", "eval")),
        *shlex.split(FLAGS.common),
    ]


def run(words):
    """Trains once and returns the last measures of the validation."""
    config = cli.parse(TrainConfig, words)
    train.main(config)
    folder = pathlib.Path(config.output.log_dir, config.output.log_name)
    entries = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [entry for entry in entries if entry["kind"] == "eval"][-1]


def main(argv):
    """Runs all variants and prints the table."""
    del argv
    table = {}
    for variant in FLAGS.variants.split(";"):
        for seed in FLAGS.seeds:
            name, words = words_of(variant, seed)
            table.setdefault(name, []).append(run(words))
    names = [name for name in next(iter(table.values()))[0] if name not in _NOT_SHOWN]
    print("| variant |", " | ".join(names), "|")
    print("|---|" + "---|" * len(names))
    for variant, entries in table.items():
        cells = []
        for name in names:
            values = [entry[name] for entry in entries]
            cells.append(f"{np.mean(values):.4g} ({np.ptp(values) / 2:.2g})")
        print(f"| {variant} |", " | ".join(cells), "|")


_NOT_SHOWN = ("kind", "step")

if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "Shards to train on.", required=True)
    flags.DEFINE_string("eval_dir", None, "Shards of other people.", required=True)
    flags.DEFINE_string("arcface_path", None, "Encoder.", required=True)
    flags.DEFINE_string("eval_arcface_path", "", "Encoder that measures.")
    flags.DEFINE_string("variants", "published;improved", "Recipes, with flags.")
    flags.DEFINE_string("common", "--batch_size=8", "Flags of all runs.")
    flags.DEFINE_list("seeds", ["0", "1"], "Seeds.")
    flags.DEFINE_integer("steps", 2000, "Steps of each run.")
    flags.DEFINE_string("runs_dir", "runs/recipes", "Folder of the runs.")
    app.run(main)
