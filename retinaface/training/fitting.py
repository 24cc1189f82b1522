"""The training of a detector: batches of scenes, the fit, what is written."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import ops

from facedancer.errors import InputError
from facedancer.face import face_labels
from facedancer.networks import optimizers
from facedancer.networks.tensors import Tensor
from facedancer.retinaface import anchors, published
from facedancer.retinaface.detector import DetectorOptions
from facedancer.retinaface.loading import load_network
from facedancer.retinaface.network import ANCHORS_PER_CELL, build_retinaface
from facedancer.retinaface.retinaface_detector import RetinaFaceDetector
from facedancer.retinaface.training import (
    losses,
    matching,
    measuring,
    scenes,
)
from facedancer.retinaface.training.settings import TrainDetectorSettings
from facedancer.storage import backup, files, writing


class Batches(keras.utils.PyDataset):
    """Endless batches of scenes; the batch of a number is always the same.

    Args:
        photos: What scenes are put together from.
        settings: Which scenes.
        batch_size: Pictures a batch.
        count: Batches an epoch.
        seed: Of everything random.
        **kwargs: `workers` and others of `keras.utils.PyDataset`.

    Attributes:
        epoch: Number of the epoch, part of the seed.
    """

    def __init__(
        self,
        photos: scenes.Photos,
        settings: scenes.SceneSettings,
        batch_size: int,
        count: int,
        seed: int,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self._photos = photos
        self._settings = settings
        self._batch_size = batch_size
        self._count = count
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Returns `(images, targets)`: float32 RGB in [0, 255], fields of `Targets`."""
        random = np.random.default_rng([self._seed, self.epoch, index])
        pairs = [
            make_example(self._photos, self._settings, random)
            for _ in range(self._batch_size)
        ]
        images = np.stack([image for image, _ in pairs]).astype(np.float32)
        fields = [field.name for field in dataclasses.fields(matching.Targets)]
        targets = {
            name: np.stack([getattr(target, name) for _, target in pairs])
            for name in fields
        }
        return images, targets


def make_example(
    photos: scenes.Photos, settings: scenes.SceneSettings, random: np.random.Generator
) -> tuple[np.ndarray, matching.Targets]:
    """Returns a degraded picture and what the network should give for it.

    Args:
        photos: See `scenes.make_scene`.
        settings: Which scenes.
        random: Draws everything.

    Returns:
        `(size, size, 3)` uint8 RGB and its `matching.Targets`.
    """
    scene = scenes.make_picture(photos, settings, random)
    faces = scene.counted
    grid = anchors.make_anchors(*scene.image.shape[:2])
    targets = matching.match(scene.boxes[faces], scene.landmarks[faces], grid)
    return scene.image, matching.leave_out(targets, scene.boxes[~faces], grid)


class DetectorTraining(keras.Model):
    """A network with the loss of RetinaFace.

    Args:
        network: What is trained.
        weights: Of the losses by name.
    """

    def __init__(
        self, network: keras.Model, weights: Mapping[str, float] = losses.WEIGHTS
    ) -> None:
        super().__init__()
        self._weights_of_losses = dict(weights)
        self.network = network
        names = ("classes", "boxes", "landmarks")
        self.trackers = {name: keras.metrics.Mean(name) for name in names}

    def call(self, image: Tensor, training: bool = False) -> dict[str, Tensor]:
        return self.network(image, training=training)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What Keras resets at the start of an epoch."""
        return [*super().metrics, *self.trackers.values()]

    def compute_loss(
        self,
        x: Tensor = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Returns the mean of the weighted losses, see `losses.detection_losses`."""
        weights = self._weights_of_losses
        found = losses.detection_losses(y, y_pred, weights=weights)
        for name, tracker in self.trackers.items():
            tracker.update_state(found[name])
        return ops.mean(found["total"])

    def compute_metrics(
        self,
        x: Tensor,
        y: dict[str, Tensor],
        y_pred: dict[str, Tensor],
        sample_weight: Tensor | None = None,
    ) -> dict[str, float]:
        """Returns the means of the losses; Keras calls this."""
        return self.get_metrics_result()


def read_photos(settings: TrainDetectorSettings) -> scenes.Photos:
    """Returns the labelled photos of all folders.

    Args:
        settings: Name folders, tables and what is left out.

    Raises:
        InputError: If a table or photo is not there, or nothing is left.
    """
    left_out = face_labels.read_names(settings.exclude) if settings.exclude else set()
    found = []
    for folder, table in zip(settings.data_dir, settings.labels, strict=True):
        photos = face_labels.read_labels(table, folder)
        kept = [p for p in photos if not face_labels.is_named(p, folder, left_out)]
        logging.info(
            "%s: %d photos, %d of them left out",
            table,
            len(photos),
            len(photos) - len(kept),
        )
        found += kept
    if not found:
        raise InputError("No labelled photo is left. Check --labels and --exclude.")
    return scenes.Photos(found)


def make_optimizer(settings: TrainDetectorSettings) -> keras.optimizers.Optimizer:
    """Returns AdamW with a warm-up and a cosine to zero.

    Args:
        settings: Learning rate and number of steps.
    """
    warmup = max(1, min(300, settings.steps // 10))
    rate, steps = settings.learning_rate, settings.steps
    return optimizers.adamw(rate, steps, warmup, weight_decay=5e-4, clipnorm=5.0)


def build_network(settings: TrainDetectorSettings) -> keras.Model:
    """Returns the network to train: new, on a known backbone, or one begun before.

    Args:
        settings: Name the files.

    Raises:
        InputError: If a file is missing or does not fit.
    """
    if settings.init:
        return load_network(settings.init)
    network = build_retinaface()
    if settings.backbone_path:
        published.read_backbone(network, settings.backbone_path)
    return network


def train(settings: TrainDetectorSettings) -> None:
    """Trains the detector and writes it.

    Args:
        settings: All of it.

    Raises:
        InputError: If a file is missing or does not fit.
    """
    keras.utils.set_random_seed(settings.seed)
    photos = read_photos(settings)
    network = build_network(settings)
    weights = losses.WEIGHTS | {"landmarks": settings.landmark_weight}
    model = DetectorTraining(network, weights)
    # XLA takes eight times as long for depthwise convolutions on a CPU.
    model.compile(optimizer=make_optimizer(settings), jit_compile=False)
    output = pathlib.Path(settings.output)
    epochs = -(-settings.steps // settings.save_every)
    data = Batches(
        photos,
        scenes.SceneSettings(size=settings.image_size),
        settings.batch_size,
        settings.save_every,
        settings.seed,
        workers=settings.workers,
        max_queue_size=4,
    )
    shape = (settings.batch_size, settings.image_size, settings.image_size, 3)
    model.build(shape)
    model.optimizer.build(model.trainable_variables)
    state = [*network.variables, *model.optimizer.variables]
    kept = backup.Backup(f"{output}.backup.npz", state)
    model.fit(
        data,
        initial_epoch=kept.restore(),
        epochs=epochs,
        verbose=2,
        callbacks=[kept, SetEpoch(data)],
    )
    calibrate_scores(network, photos)
    write_network(network, output)
    kept.path.unlink()


def calibrate_scores(
    network: keras.Model, photos: scenes.Photos, max_photos: int = 500
) -> float:
    """Shifts the scores so that at one half 95 % of the finds are faces.

    The hard negatives of the training leave the scores too high.

    Args:
        network: The detector, changed in place.
        photos: Labelled photos, used as they are.
        max_photos: Of which so many are looked at.

    Returns:
        The score at which 95 % were faces before.
    """
    options = DetectorOptions(score_threshold=0.02)
    step = -(-len(photos) // max_photos)
    pictures = (photos[index] for index in range(0, len(photos), step))
    quality = measuring.measure(RetinaFaceDetector(network, options), pictures)
    threshold = float(np.clip(quality.threshold, 0.02, 0.98))
    shift = np.tile([0.0, np.log(threshold / (1.0 - threshold))], ANCHORS_PER_CELL)
    for level in range(1, len(anchors.STRIDES) + 1):
        bias = network.get_layer(f"classes{level}_conv").bias
        bias.assign(bias - shift.astype(np.float32))
    logging.info("95 %% of the finds were faces at the score %.3f", threshold)
    return threshold


def write_network(network: keras.Model, path: pathlib.Path) -> None:
    """Writes a detector, its weights rounded to 16 bits.

    Args:
        network: The detector; its weights are as before afterwards.
        path: The `.keras` file.
    """
    rounded = type(network).from_config(network.get_config())
    rounded.set_weights(network.get_weights())
    writing.round_to_half(rounded)
    with files.whole(path) as temporary:
        rounded.save(temporary)
    writing.compress(path)


class SetEpoch(keras.callbacks.Callback):
    """Gives the batches the number of the epoch, also after a restart.

    Args:
        data: The batches.
    """

    def __init__(self, data: Batches) -> None:
        super().__init__()
        self._data = data

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Keras calls this."""
        self._data.epoch = epoch
