"""The training of a face refiner: batches of patches, the steps, what is written."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from keras import ops

from facedancer.imaging import images
from facedancer.models.families.face_refiner.config import FaceRefinerConfig
from facedancer.models.families.face_refiner.discriminator import build_discriminator
from facedancer.models.families.face_refiner.network import FaceRefinerNetwork
from facedancer.networks import epochs, optimizers
from facedancer.storage import backup, files, writing
from facedancer.train.frozen import perceptual
from facedancer.train.refining import examples, losses, measuring, photos
from facedancer.train.refining.photos import SwappedPhoto
from facedancer.train.refining.settings import TrainRefinerSettings

_BITS = 10  # of the weights that are written
_FEATURES = 0.2  # weight of the perceptual network
_COARSE = 4.0  # weight of staying the generator's face, coarsely seen
_FINEST = 3  # of the perceptual network's maps


class Batches(keras.utils.PyDataset):
    """Endless batches of patches; the batch of a number is always the same.

    Args:
        made: Photos with the generator's faces.
        settings: How many, how large.
        **kwargs: `workers` and others of `keras.utils.PyDataset`.

    Attributes:
        epoch: Number of the epoch, part of the seed.
    """

    def __init__(
        self,
        made: Sequence[SwappedPhoto],
        settings: TrainRefinerSettings,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self._photos, self._settings, self.epoch = made, settings, 0

    def __len__(self) -> int:
        return self._settings.save_every

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray]]:
        """Returns `swapped`, `target`, `truth` in [-1, 1] and `known`, 0 or 1."""
        told = self._settings
        random = np.random.default_rng([told.seed, self.epoch, index])
        drawn = [self._example(random) for _ in range(told.batch_size)]
        names = ("swapped", "target", "truth")
        batch = {
            name: images.signed_from_uint8(np.stack([getattr(d, name) for d in drawn]))
            for name in names
        }
        return (batch | {"known": np.array([d.known for d in drawn], np.float32)},)

    def _example(self, random: np.random.Generator) -> examples.Example:
        told, count = self._settings, len(self._photos)
        number = int(random.integers(count))
        other = (number + int(random.integers(1, count))) % count
        drawn = examples.draw(
            self._photos[number], self._photos[other], told.known, random
        )
        row, column = examples.corner(told.image_size, told.patch, random)
        return drawn.part(row, column, told.patch)


class RefinerTraining(keras.Model):
    """A refiner, its discriminator, and one step of both.

    Args:
        refiner: Of the patch's size.
        discriminator: Of that size, too.
        seen: The perceptual network.
        settings: Weights of the losses.
        steps: Of the whole training.
    """

    def __init__(
        self,
        refiner: FaceRefinerNetwork,
        discriminator: keras.Model,
        seen: perceptual.Perceptual,
        settings: TrainRefinerSettings,
        steps: int,
    ) -> None:
        super().__init__()
        self.refiner, self.discriminator = refiner, discriminator
        self._features, self._settings = seen.features, settings
        rates = settings.learning_rate, steps, min(200, steps // 10)
        self.moves = optimizers.adamw(*rates, weight_decay=1e-4, clipnorm=1.0)
        self.judges = optimizers.adamw(*rates, weight_decay=1e-4, beta_1=0.5)
        self.moves.build(refiner.trainable_variables)
        self.judges.build(discriminator.trainable_variables)

    @property
    def state(self) -> list[keras.Variable]:
        """All that changes."""
        return [
            *self.refiner.variables,
            *self.discriminator.variables,
            *self.moves.variables,
            *self.judges.variables,
        ]

    def train_step(self, data: Any) -> Mapping[str, tf.Tensor]:
        """Keras calls this with a batch of `Batches`."""
        (batch,) = data
        known = batch["known"]
        weight = self._settings.adversarial * ops.cast(
            self.moves.iterations >= self._settings.adversarial_from, "float32"
        )
        with tf.GradientTape() as tape:
            refined = self.refiner([batch["swapped"], batch["target"]], training=True)
            right = losses.known_loss(batch["truth"], refined, known)
            coarse = losses.coarse_loss(batch["swapped"], refined, known)
            alike = self._feature_loss(batch["truth"], refined, known)
            fooled = -ops.mean(self.discriminator(refined, training=True))
            total = right + _COARSE * coarse + _FEATURES * alike + weight * fooled
        self._apply(tape, total, self.refiner, self.moves)
        with tf.GradientTape() as tape:
            real = self.discriminator(batch["truth"], training=True)
            fake = self.discriminator(ops.stop_gradient(refined), training=True)
            judged = losses.hinge(real, fake)
        self._apply(tape, judged, self.discriminator, self.judges)
        return {
            "right": right,
            "coarse": coarse,
            "alike": alike,
            "fooled": fooled,
            "judged": judged,
        }

    def _feature_loss(
        self, truth: tf.Tensor, refined: tf.Tensor, known: tf.Tensor
    ) -> tf.Tensor:
        if self._features is None:
            return ops.zeros(())
        return losses.feature_loss(
            self._features(truth), self._features(refined), known
        )

    @staticmethod
    def _apply(
        tape: tf.GradientTape,
        loss: tf.Tensor,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
    ) -> None:
        variables = network.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )


def train(settings: TrainRefinerSettings) -> None:
    """Trains the refiner and writes it.

    Args:
        settings: All of it.

    Raises:
        InputError: If a file is missing or does not fit.
    """
    keras.utils.set_random_seed(settings.seed)
    learned, held = photos.split(photos.read(settings), settings.holdout)
    logging.info("%d photos to learn from, %d held out", len(learned), len(held))
    changer = photos.Changer(settings.generator_path, settings.arcface_path)
    made = list(changer.changed(list(learned.values()), settings.swaps, settings.seed))
    logging.info("%d faces swapped beforehand", len(made) * (1 + settings.swaps))
    config = FaceRefinerConfig(
        settings.image_size, width=settings.width, blocks=settings.blocks
    )
    network = FaceRefinerNetwork(config)
    logging.info("%s", network.describe())
    kept = fit(network, made, settings)
    writing.round_to_half(network, _BITS)
    test = changer.changed(list(held.values()), 1, settings.seed)
    for line in measuring.measure(network, list(test)).lines():
        logging.info("%s", line)
    output = pathlib.Path(settings.output)
    with files.whole(output) as temporary:
        network.save(temporary)
    writing.compress(output)
    kept.path.unlink()


def fit(
    network: FaceRefinerNetwork,
    made: Sequence[SwappedPhoto],
    settings: TrainRefinerSettings,
) -> backup.Backup:
    """Trains a network to the end, from wherever the backup stands.

    Args:
        network: Of the crops' size; it learns from patches.
        made: To learn from.
        settings: How.

    Returns:
        What keeps the run's state.
    """
    rounds = -(-settings.steps // settings.save_every)
    small = network.of_size(settings.patch)
    seen = _perceptual(settings)
    training = RefinerTraining(
        small,
        build_discriminator(settings.patch),
        seen,
        settings,
        rounds * settings.save_every,
    )
    training.compile(jit_compile=False)
    kept = backup.Backup(f"{settings.output}.backup.npz", training.state)
    data = Batches(made, settings, workers=settings.workers, max_queue_size=8)
    training.fit(
        data,
        initial_epoch=kept.restore(),
        epochs=rounds,
        verbose=0,
        callbacks=[kept, epochs.FollowEpoch(data)],
    )
    network.set_weights(small.get_weights())
    return kept


def _perceptual(settings: TrainRefinerSettings) -> perceptual.Perceptual:
    """Returns the perceptual network's finest maps."""
    if settings.perceptual == "none":
        return perceptual.Perceptual()
    return perceptual.load(settings.perceptual, settings.patch, finest=_FINEST)
