"""How well a new discriminator tells a generator's swaps from photos.

    python benchmarks/discriminator_sees.py --data_dir "shards/faces_train*.records" \\
        --features face_parser,mobilenet025.npz --seeds 0,1 \\
        --augment none,colour+translation+cutout

The generator stands still. Heads on each row's frozen features learn from photos and
swaps of training people, a few hundred steps; then both kinds of *other* photos are
judged: the share of pairs that are ranked rightly (area under the ROC curve; .5 is
chance). What a discriminator cannot tell apart, it cannot teach a generator.
"""

from __future__ import annotations

import dataclasses
import itertools

import keras
import numpy as np
import tensorflow as tf

from facedancer import arcface_model, cli
from facedancer.flags.settings import Checked, ranged, setting
from facedancer.models.families.projected_heads import build_projected_heads
from facedancer.models.published import reading
from facedancer.storage import weights
from facedancer.train.frozen import projector, teachers
from facedancer.train.objective import adversary, diff_augment
from facedancer.train.validation import validation

_AT_ONCE = 50


@dataclasses.dataclass(frozen=True)
class SeesSettings(Checked):
    """Settings of the measurement.

    Attributes:
        data_dir: Shards of training people.
        generator: Generator file; empty: the packaged one.
        encoder: Its encoder; empty: the packaged one.
        features: Networks as of --projector_path, joined by +; one row each.
        augment: Ways as of --diff_augment, joined by +, or none; one row each.
        seeds: Of heads and order of the photos; one row each.
        photos: How many; a sixth of them is judged.
        steps: Of the heads.
        batch_size: Photos a step, and as many swaps.
    """

    data_dir: str = setting("", essential=True)
    generator: str = ""
    encoder: str = ""
    features: tuple[str, ...] = ("face_parser",)
    augment: tuple[str, ...] = ("none",)
    seeds: tuple[str, ...] = ("0",)
    photos: int = ranged(2400, low=60)
    steps: int = ranged(400, low=40)
    batch_size: int = ranged(16, low=1)


def swaps(generator, teacher, pairs):
    """Returns the targets of pairs with the faces of their sources."""
    made = []
    for start in range(0, len(pairs.targets), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        told = teacher.embed(pairs.sources[part])
        made.append(np.asarray(generator([pairs.targets[part], told])))
    return np.concatenate(made)


def draws_of(photos, made, settings, seed):
    """Yields swaps and photos in one batch, and the numbers of their augmentation."""
    random = np.random.default_rng(seed)
    for _ in range(settings.steps):
        chosen = random.integers(0, len(photos), (2, settings.batch_size))
        images = np.concatenate([made[chosen[0]], photos[chosen[1]]])
        numbers = random.random((len(images), diff_augment.NUMBERS), np.float32)
        yield tf.constant(images), tf.constant(numbers)


def learn(heads, features, augment, draws):
    """Teaches the heads; returns the mean loss of the last 40 steps."""
    optimizer = keras.optimizers.Adam(2.5e-4, beta_1=0.0, beta_2=0.99)

    @tf.function
    def step(images, numbers):
        maps = features(diff_augment.changed(images, numbers, augment))
        with tf.GradientTape() as tape:
            logits = [tf.split(part, 2) for part in tf.nest.flatten(heads(maps))]
            fake, real = ([pair[k] for pair in logits] for k in (0, 1))
            parts = adversary.discriminator_loss("hinge", fake, real)
            loss = tf.reduce_mean(parts[0] + parts[1])
        gradients = tape.gradient(loss, heads.trainable_variables)
        optimizer.apply(gradients, heads.trainable_variables)
        return loss

    losses = [float(step(*one)) for one in draws]
    return float(np.mean(losses[-40:]))


def ranked_rightly(heads, features, photos, made):
    """Returns the area under the ROC curve: of all heads, and of each."""

    @tf.function
    def scores(images):
        logits = tf.nest.flatten(heads(features(images)))
        return tf.stack([tf.reduce_mean(part, axis=(1, 2, 3)) for part in logits])

    def all_of(images):
        parts = range(0, len(images), _AT_ONCE)
        found = [scores(tf.constant(images[k : k + _AT_ONCE])) for k in parts]
        return np.concatenate(found, axis=1)

    real, fake = all_of(photos), all_of(made)
    return [
        (a[:, None] > b[None]).mean()
        for a, b in ((real.mean(0), fake.mean(0)), *zip(real, fake, strict=True))
    ]


def main(settings: SeesSettings) -> int:
    """Prints a line for each row.

    Args:
        settings: The flags.

    Returns:
        0.
    """
    generator = reading.load_generator(settings.generator or weights.find("generator"))
    encoder = arcface_model.load_encoder(settings.encoder or weights.find("encoder"))
    side = generator.config.image_size
    pairs = validation.read_pairs(settings.data_dir, side, settings.photos)
    photos = np.asarray(pairs.targets, np.float32)
    made = swaps(generator, teachers.Teacher(arcface_model.fold(encoder)), pairs)
    known = len(photos) * 5 // 6
    print(f"{known} photos to learn from, {len(photos) - known} to judge, {side} px")
    for names, ways in itertools.product(settings.features, settings.augment):
        features = projector.load(names.split("+"), side)
        augment = () if ways == "none" else tuple(ways.split("+"))
        for seed in settings.seeds:
            keras.utils.set_random_seed(int(seed))
            heads = build_projected_heads(features.shapes)
            draws = draws_of(photos[:known], made[:known], settings, int(seed))
            loss = learn(heads, features, augment, draws)
            areas = ranked_rightly(heads, features, photos[known:], made[known:])
            each = " ".join(f"{area:.3f}" for area in areas[1:])
            print(
                f"{names} | {ways} | seed {seed} | loss {loss:.2f} of 2 | ranked "
                f"rightly {areas[0]:.3f} | heads, the finest first {each}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    cli.run(main, SeesSettings)
