"""The training of a face parser: batches of crops, the fit, what is written."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

import keras
import numpy as np
from absl import logging

from facedancer.face import face_classes
from facedancer.face.alignment import Alignment
from facedancer.imaging import images
from facedancer.models.families.face_parser.config import FaceParserConfig
from facedancer.models.families.face_parser.network import FaceParserNetwork, fold
from facedancer.networks import epochs, optimizers
from facedancer.networks.tensors import Tensor
from facedancer.storage import backup, files, writing
from facedancer.train.parsing import (
    class_overlap,
    overlap_losses,
    parsed_photos,
    views,
)
from facedancer.train.parsing.parsed_photos import ParsedPhoto
from facedancer.train.parsing.settings import TrainParserSettings

_BITS = 9  # of the weights that are written: the file stays below two megabytes


class Batches(keras.utils.PyDataset):
    """Endless batches of crops; the batch of a number is always the same.

    Args:
        photos: What crops are cut from.
        settings: How many, how large, how covered.
        **kwargs: `workers` and others of `keras.utils.PyDataset`.

    Attributes:
        epoch: Number of the epoch, part of the seed.
    """

    def __init__(
        self,
        photos: Sequence[ParsedPhoto],
        settings: TrainParserSettings,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self._photos, self._settings, self.epoch = photos, settings, 0

    def __len__(self) -> int:
        return self._settings.save_every

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns images `(n, s, s, 3)` in [-1, 1] and classes `(n, s, s)` uint8."""
        told = self._settings
        random = np.random.default_rng([told.seed, self.epoch, index])
        chosen = random.integers(len(self._photos), size=told.batch_size)
        crops = [
            views.varied_crop(self._photos, k, told.image_size, told.covered, random)
            for k in chosen
        ]
        pictures = np.stack([crop.image for crop in crops])
        classes = np.stack([crop.classes for crop in crops])
        return images.signed_from_uint8(pictures), classes


def train(settings: TrainParserSettings) -> None:
    """Trains the parser and writes it.

    Args:
        settings: All of it.

    Raises:
        InputError: If a file is missing or does not fit.
    """
    keras.utils.set_random_seed(settings.seed)
    photos = parsed_photos.read_photos(
        settings.data_dir, settings.labels, settings.masks, 2 * settings.image_size
    )
    learned, held = parsed_photos.split(photos, settings.holdout)
    logging.info("%d photos to learn from, %d held out", len(learned), len(held))
    network = FaceParserNetwork(FaceParserConfig(settings.image_size))
    logging.info("%s", network.describe())
    output = pathlib.Path(settings.output)
    kept = fit(network, learned, settings)
    made = rounded(network)
    for line in measured(made, held).lines():
        logging.info("%s", line)
    with files.whole(output) as temporary:
        made.save(temporary)
    writing.compress(output)
    kept.path.unlink()


def fit(
    network: FaceParserNetwork,
    photos: Sequence[ParsedPhoto],
    settings: TrainParserSettings,
) -> backup.Backup:
    """Trains a network to the end, from wherever the backup stands.

    Args:
        network: The network.
        photos: To learn from.
        settings: How.

    Returns:
        What keeps the run's state.
    """
    count = len(face_classes.NAMES)
    pixels = sum(
        np.bincount(photo.classes.ravel(), minlength=256)[:count] for photo in photos
    )
    weights = overlap_losses.class_weights(np.asarray(pixels))

    def loss(classes: Tensor, scores: Tensor) -> Tensor:
        return overlap_losses.parsing_loss(classes, scores, weights)

    rounds = -(-settings.steps // settings.save_every)
    steps = rounds * settings.save_every
    optimizer = optimizers.adamw(
        settings.learning_rate,
        steps,
        min(200, steps // 10),
        weight_decay=1e-3,
        clipnorm=5.0,
    )
    # The scores before they are enlarged: a third less work, and as exact.
    coarse = keras.Model(network.inputs, network.get_layer("classes").output)
    coarse.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    optimizer.build(network.trainable_variables)
    state = [*network.variables, *optimizer.variables]
    kept = backup.Backup(f"{settings.output}.backup.npz", state)
    data = Batches(photos, settings, workers=settings.workers, max_queue_size=8)
    coarse.fit(
        data,
        initial_epoch=kept.restore(),
        epochs=rounds,
        verbose=0,
        callbacks=[kept, epochs.FollowEpoch(data)],
    )
    return kept


def rounded(network: FaceParserNetwork) -> FaceParserNetwork:
    """Returns an equal network for inference, its weights rounded.

    Args:
        network: A trained one; it is not changed.
    """
    made = fold(network)
    writing.round_to_half(made, _BITS)
    return made


def measured(
    network: FaceParserNetwork, photos: Sequence[ParsedPhoto]
) -> class_overlap.Overlap:
    """Returns how well a network finds the classes in ArcFace's crops of photos.

    Args:
        network: The network.
        photos: Of which the classes are known.
    """
    size = network.config.image_size

    def parse(crop: np.ndarray) -> np.ndarray:
        scores = network.predict_on_batch(images.signed_from_uint8(crop[None]))
        return np.asarray(scores[0]).argmax(axis=-1)

    crops = (views.plain_crop(photo, size, Alignment()) for photo in photos)
    return class_overlap.measure(parse, crops)
