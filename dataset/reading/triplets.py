"""Shards -> batches of (source, target, truth), some of them with a known truth.

A triplet with a known truth is a record with the images `source`, `target` and
`truth` (such as `make_faces` writes, or photos with an edited copy: MobileFSGAN). The
other rows are ordinary pairs of photos; where both are one photo the truth is the
target itself. Like in `pairs`, batch k depends only on the settings and on k.

    photos = pairs.PairSettings("shards/", batch_size=8)
    settings = triplets.TripletSettings(
        photos, "triplets/edits_beard*,triplets/edits_glasses*", (0.024, 0.042)
    )
    for batch in triplets.make_dataset(settings): ...
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from facedancer.dataset.augmentation import colour
from facedancer.dataset.reading import pairs
from facedancer.dataset.shards import shard_index
from facedancer.errors import InputError

ROLES = ("source", "target", "truth")
_STREAM = 104
# Probabilities of MobileFSGAN: colour jitter, grey source, grey target.
JITTER, GREY_SOURCE, GREY_TARGET = 0.3, 0.02, 0.01


@dataclasses.dataclass(frozen=True)
class TripletSettings:
    """How rows with and without a known truth are mixed.

    Attributes:
        photos: How ordinary pairs are drawn; its batch and image size are those of
            all rows, its jitter and flip are not used.
        triplet_dir: Shards of triplets, named as in `PairSettings.data_dir`.
        triplet_ratio: Probability that a row is a triplet; or one for each part of
            `triplet_dir` between commas.
        flip: Probability of mirroring, drawn for the source, and for target and truth
            together.
        augment: Change colours: jitter .3, grey source .02, grey target .01; the truth
            changes with the target.

    Raises:
        ValueError: If a value is out of its range.
    """

    photos: pairs.PairSettings
    triplet_dir: str
    triplet_ratio: float | tuple[float, ...] = 0.3
    flip: float = 0.5
    augment: bool = True

    def __post_init__(self):
        shares = [share for _, share in self.parts()]
        for name, value in (
            *(("triplet_ratio", share) for share in shares),
            ("triplet_ratio", sum(shares)),
            ("flip", self.flip),
        ):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"`{name}` must lie in [0, 1]. Received: {value}")

    def parts(self) -> list[tuple[str, float]]:
        """Returns the parts of `triplet_dir`, each with its share.

        Raises:
            ValueError: If there is not one share for each.
        """
        if not isinstance(self.triplet_ratio, tuple):
            return [(self.triplet_dir, self.triplet_ratio)]
        names = self.triplet_dir.split(",")
        if len(names) != len(self.triplet_ratio):
            raise ValueError(
                "`triplet_ratio` must have one number for each part of `triplet_dir`. "
                f"Received: {len(self.triplet_ratio)} for {len(names)}"
            )
        return list(zip(names, self.triplet_ratio, strict=True))


def make_dataset(
    settings: TripletSettings, first_batch: int = 0, num_parallel_calls: int = 0
) -> tf.data.Dataset:
    """Returns an endless dataset of batches of triplets.

    Args:
        settings: What to read and how to mix it.
        first_batch: Number of the first batch: how many were used before.
        num_parallel_calls: Batches prepared at the same time; see
            `PairSettings`.

    Returns:
        A dataset of dictionaries: `"source"`, `"target"` and `"truth"`
        `(batch, size, size, 3)` float32 in [-1, 1], the truth -1 where it is unknown;
        `"has_truth"`, `"same"` and `"source_is_real"` `(batch,)` float32 of 0 and 1.

    Raises:
        InputError: If shards are missing.
    """
    reader = TripletReader(settings)
    dataset = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    dataset = dataset.map(
        lambda number: _read_batch(reader, number),
        num_parallel_calls=num_parallel_calls or pairs.parallel_calls(),
        deterministic=True,
    )
    return dataset.prefetch(2)


def _read_batch(reader: TripletReader, number) -> dict:
    photos = reader.settings.photos
    shape = (photos.batch_size, photos.image_size, photos.image_size, 3)
    images, marks = tf.numpy_function(
        lambda k: reader.batch(int(k)), [number], [tf.uint8, tf.float32], stateful=False
    )
    images = tf.ensure_shape(images, (3, *shape))
    marks = tf.ensure_shape(marks, (3, photos.batch_size))
    signed = pairs.signed(images)
    batch = {role: signed[place] for place, role in enumerate(ROLES)}
    names = ("has_truth", "same", "source_is_real")
    return batch | {name: marks[place] for place, name in enumerate(names)}


class TripletReader:
    """Reads batch k; safe to use from several threads.

    Attributes:
        settings: What it was made with.
        photos: The `PairReader` of the ordinary rows.
        triplets: A `ShardIndex` for each part of the triplets.

    Args:
        settings: What to read and how to mix it.

    Raises:
        InputError: If shards are missing, or hold no triplets.
    """

    def __init__(self, settings: TripletSettings):
        self.settings = settings
        self.photos = pairs.PairReader(
            dataclasses.replace(settings.photos, jitter="none", flip=False)
        )
        self.triplets = []
        self._limits = np.cumsum([share for _, share in settings.parts()])
        for name, _ in settings.parts():
            index = shard_index.open_index(name, on_corrupt=settings.photos.on_corrupt)
            self.triplets.append(index)
            missing = set(ROLES) - set(index.features(0))
            if missing:
                raise InputError(
                    f"{name}: records of triplets need the features "
                    f"{', '.join(ROLES)}; {', '.join(sorted(missing))} are missing"
                )

    def batch(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns batch `number`.

        Args:
            number: The batch.

        Returns:
            `(3, batch, size, size, 3)` uint8 RGB in the order of `ROLES`; and
            `(3, batch)` float32: has truth, same photo, source is real.

        Raises:
            InputError: If a record is damaged.
        """
        photos = self.settings.photos
        target, source, same, *_ = self.photos.rows(number, 0, photos.batch_size)
        truth = np.where(same[:, None, None, None] == 1.0, target, np.uint8(0))
        images = np.stack([source, target, truth])
        marks = np.stack([same, same, np.ones_like(same)])
        random = np.random.default_rng([photos.seed, _STREAM, number])
        part = np.searchsorted(self._limits, random.random(photos.batch_size), "right")
        which = random.random(photos.batch_size)
        draws = random.random((photos.batch_size, 12))
        for row in range(photos.batch_size):
            if part[row] < len(self.triplets):
                index = self.triplets[part[row]]
                images[:, row], real = self._triplet(
                    index, int(which[row] * len(index))
                )
                marks[:, row] = 1.0, 0.0, real
            images[:, row] = self._changed(images[:, row], marks[0, row], draws[row])
        return images, marks

    def _triplet(
        self, index: shard_index.ShardIndex, number: int
    ) -> tuple[np.ndarray, float]:
        features = index.features(number)
        size, place = self.settings.photos.image_size, index.place(number)
        images = [
            shard_index.decode_image(features.get(role), size, place, role)
            for role in ROLES
        ]
        return np.stack(images), float(features.get("source_is_real", 1))

    def _changed(
        self, images: np.ndarray, has_truth: float, draws: np.ndarray
    ) -> np.ndarray:
        """Mirrors and recolours one row; the truth goes with the target."""
        source, target, truth = images
        if draws[0] < self.settings.flip:
            source = source[:, ::-1]
        if draws[1] < self.settings.flip:
            target, truth = target[:, ::-1], truth[:, ::-1]
        if self.settings.augment:
            source = _recolour([source], GREY_SOURCE, draws[2:7])[0]
            known = [target, truth] if has_truth else [target]
            target, *rest = _recolour(known, GREY_TARGET, draws[7:12])
            truth = rest[0] if rest else truth
        return np.stack([source, target, truth])


def _recolour(
    images: list[np.ndarray], grey_ratio: float, draws: np.ndarray
) -> list[np.ndarray]:
    """Returns the images, all changed alike: the colour map is the first image's."""
    if draws[0] < JITTER:
        change = colour.jitter_map(images[0], draws[1:4])
        images = [colour.apply_map(image, change) for image in images]
    if draws[4] < grey_ratio:
        images = [colour.grey(image) for image in images]
    return images
