"""All photos decoded once, and which of them batch k is made of, by what changes.

A device that holds the photos needs no images of a batch, only numbers: a few hundred
bytes a pair. The numbers are drawn as `PairReader` draws them, so a batch that is made
of them is the reader's, up to rounding.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import logging

from facedancer.dataset.augmentation import distortion, photo_changes
from facedancer.dataset.reading.pair_reader import PairReader, parallel_calls

NAMES = ("target", "source")  # the order of the axis of roles
_MOST = max(distortion.BLUR_SIZES)


@dataclasses.dataclass(frozen=True)
class Photos:
    """Decoded photos.

    Attributes:
        images: `(photos, size, size, 3)` uint8 RGB.
        used: `(photos,)` which photo stands at each place: another one where a record
            is damaged and may be skipped.
    """

    images: np.ndarray
    used: np.ndarray


def bytes_of(reader: PairReader) -> int:
    """Returns how much memory the photos of a reader take, decoded.

    Args:
        reader: What knows the shards and the size.
    """
    return len(reader.index) * 3 * reader.changes.read_size**2


def decode(reader: PairReader) -> Photos:
    """Returns all photos of a reader, decoded in threads.

    Args:
        reader: What reads them.

    Raises:
        InputError: If a record is damaged and none may be skipped.
    """
    count, size = len(reader.index), reader.changes.read_size
    images = np.empty((count, size, size, 3), np.uint8)
    used = np.empty(count, np.int64)

    def read(photo: int) -> None:
        images[photo], used[photo] = reader.good_photo(photo)

    with ThreadPoolExecutor(parallel_calls()) as pool:
        for done, _ in enumerate(pool.map(read, range(count)), 1):
            if done % 10_000 == 0:
                logging.info("%d of %d photos are decoded", done, count)
    return Photos(images, used)


class PhotoPlan:
    """Says what batch k is made of; safe to use from several threads.

    Args:
        reader: Whose batches these are; without a distortion.
        photos: Of `decode`.
    """

    def __init__(self, reader: PairReader, photos: Photos) -> None:
        self.reader, self.photos = reader, photos
        count = len(photos.images) if reader.settings.colour_match else 0
        self._statistics = [
            distortion.middle_statistics(image) for image in photos.images[:count]
        ]

    def arrays(self, number: int) -> dict[str, np.ndarray]:
        """Returns what batch `number` is made of; the middle axis is target, source.

        Args:
            number: The batch.

        Returns:
            `photo` `(batch, 2)` int32; `flip` `(batch, 2)` and `jitter` `(batch, 2, 3)`
            float32, where they are asked for, and so `colour` `(batch, 2, 3, 4)`,
            `matrix` `(batch, 2, 2, 3)` (from the result to the photo) and `kernel`
            `(batch, 2, 11, 11)`; `same`, `target_identity` and `source_identity` as of
            the reader.
        """
        settings, reader = self.reader.settings, self.reader
        pairs, draws = reader.sampler.batch(number), reader.draws(number)
        same = pairs.same.astype(bool)
        photo = np.stack([pairs.target, pairs.source], axis=1)
        draws[same, 1] = draws[same, 0]  # both images are one
        photo = np.where(same[:, None], photo[:, :1], photo)
        found = {}
        if settings.flip:
            found["flip"] = draws[..., 0] < 0.5
        if settings.jitter == "per_image":
            found["jitter"] = draws[..., 1:]
        if settings.jitter == "legacy":
            legacy = reader.legacy_draws(number)
            both = np.stack([legacy[name] for name in NAMES])
            found["jitter"] = np.repeat(both[None], len(same), axis=0)
        if reader.changes.any:
            found |= self._changes(number, photo, same, pairs.target)
        people = reader.index.identity[self.photos.used[photo]]
        found = {name: value.astype(np.float32) for name, value in found.items()}
        names = ("target_identity", "source_identity")
        found |= {name: people[:, role] for role, name in enumerate(names)}
        same = pairs.same.astype(np.float32)
        return {"photo": photo.astype(np.int32), "same": same, **found}

    def _changes(
        self, number: int, photo: np.ndarray, same: np.ndarray, targets: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns colour maps, matrices and kernels of all photos of a batch."""
        found: list[photo_changes.Drawn] = []
        for row in range(len(photo)):
            for role in range(2):
                if role and same[row]:
                    found.append(found[-1])
                    continue
                random = self.reader.changes_random(number, row, role)
                found.append(self._draw(photo[row, role], targets, random))
        changes = self.reader.changes
        parts = {
            "colour": [_colour(one) for one in found] if changes.colour_match else [],
            "matrix": [_inverse(m) for one in found if (m := one.matrix) is not None],
            "kernel": [_kernel(one) for one in found] if changes.motion_blur else [],
        }
        return {
            name: np.reshape(some, (len(photo), 2, *some[0].shape))
            for name, some in parts.items()
            if some
        }

    def _draw(
        self, photo: int, targets: np.ndarray, random: np.random.Generator
    ) -> photo_changes.Drawn:
        def own() -> distortion.Statistics:
            return self._statistics[photo]

        def other() -> distortion.Statistics:
            return self._statistics[int(random.choice(targets))]

        return self.reader.changes.draw(own, other, random)


def _colour(drawn: photo_changes.Drawn) -> np.ndarray:
    return np.eye(3, 4) if drawn.colour is None else drawn.colour


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Returns where in the photo a pixel of the result lies."""
    return np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))[:2]


def _kernel(drawn: photo_changes.Drawn) -> np.ndarray:
    """Returns the kernel in the middle of the largest one."""
    kernel = np.zeros((_MOST, _MOST))
    if drawn.kernel is None:
        kernel[_MOST // 2, _MOST // 2] = 1.0
        return kernel
    edge = (_MOST - len(drawn.kernel)) // 2
    inner = slice(edge, _MOST - edge)
    kernel[inner, inner] = drawn.kernel
    return kernel
