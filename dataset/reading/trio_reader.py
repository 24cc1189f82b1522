"""Pairs, and another photo of each target's person.

For systems that compare photos of one person: `another` is a second photo of whom the
target shows. Batch k depends only on the settings and on k, as in `pair_reader`.
"""

from __future__ import annotations

import numpy as np

from facedancer.dataset.augmentation import colour
from facedancer.dataset.reading.pair_reader import PairReader

_ANOTHER = 108


class TrioReader(PairReader):
    """Reads batches of targets, sources and other photos of the targets' people.

    Someone with a single photo, or without a label, is shown by the same photo
    mirrored.
    """

    @property
    def roles(self) -> tuple[str, ...]:
        """The images of a batch by name, in order."""
        return (*super().roles, "another")

    def batch(self, number: int, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """Returns rows of batch `number`, the other photos after the pairs.

        Args:
            number: The batch.
            start: First row.
            stop: Row after the last.

        Returns:
            As `PairReader.batch`, with `len(roles)` images a row.

        Raises:
            InputError: If a record is damaged and `on_corrupt` is `"stop"`.
        """
        images, same, identities = super().batch(number, start, stop)
        target, given = self.sampler.batch(number).target, self.settings
        random = np.random.default_rng([given.seed, _ANOTHER, number])
        draws = random.random((given.batch_size, 5))
        photos = self.sampler.others_of(target, draws[:, 4])
        mirrored = self.draws(number)[:, 0, 0] < 0.5
        added = np.empty_like(images[0])
        for slot, row in enumerate(range(start, stop)):
            flip = given.flip and draws[row, 0] < 0.5
            if photos[row] == target[row]:
                flip = not (given.flip and mirrored[row])
            image = self.changes.straight(self.cache.get(int(photos[row]))[0])
            image = image[:, ::-1] if flip else image
            if given.jitter == "per_image":
                image = colour.apply_map(
                    image, colour.jitter_map(image, draws[row, 1:4])
                )
            added[slot] = image
        return np.concatenate([images, added[None]]), same, identities
