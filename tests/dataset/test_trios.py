"""Another photo of each target's person, beside the pairs."""

import pathlib
import tempfile

import numpy as np

from facedancer.dataset.reading import readers
from facedancer.dataset.reading.pair_reader import PairReader, PairSettings
from facedancer.dataset.reading.trio_reader import TrioReader
from tests import testing
from tests.train import tiny


class TrioReaderTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def settings(self, people, **given):
        shards = tiny.write_shards(self.folder, people=people, name=f"of_{people}")
        told = {"batch_size": 6, "image_size": 24, "jitter": "none"} | given
        return PairSettings(shards, **told)

    def test_another_photo_of_the_person(self):
        settings = self.settings(4)
        reader, plain = TrioReader(settings), PairReader(settings)
        photos = [reader.photo(k) for k in range(12)]
        seen = set()
        for number in range(6):
            batch, pairs = reader.arrays(number), plain.arrays(number)
            for name, value in pairs.items():
                self.assert_close(batch[name], value, atol=0)
            for row, target in enumerate(reader.sampler.batch(number).target):
                shown = [np.array_equal(batch["another"][row], p) for p in photos]
                (other,) = np.flatnonzero(shown)
                self.assertEqual(other % 4, target % 4)
                self.assertNotEqual(other, target)
                seen.add((int(target), int(other)))
        self.assertGreater(len(seen), 20)  # of 24: each of both others comes

    def test_a_single_photo_is_mirrored(self):
        for people, flip in ((12, False), (12, True), (0, False)):
            settings = self.settings(people, flip=flip, same_ratio=1.0)
            batch = TrioReader(settings).arrays(0)
            mirrored = batch["target"][:, :, ::-1]
            self.assert_close(batch["another"], mirrored, atol=0)

    def test_jitter_and_flip_are_its_own(self):
        settings = self.settings(4, jitter="per_image", flip=True)
        reader = TrioReader(settings)
        still = TrioReader(self.settings(4))
        batch, plain = reader.arrays(1), still.arrays(1)
        apart = np.abs(batch["another"].astype(int) - plain["another"])
        straight = apart.mean((1, 2, 3)) < 60
        self.assertTrue(0 < straight.sum() < 6)  # the others are mirrored
        self.assertGreater(apart[straight].mean(), 1.0)

    def test_the_dataset_is_the_reader(self):
        settings = self.settings(4, jitter="per_image", flip=True)
        form = readers.READERS["trios"]
        arrays = form.reader(settings).arrays(2)
        (found,) = form.dataset(settings, 2).take(1)
        for name in ("target", "source", "another"):
            wanted = arrays[name] / 127.5 - 1.0
            self.assert_close(found[name].numpy(), wanted, atol=1e-6)
        first, second = (
            next(iter(form.dataset(settings, 2, part, 2))) for part in (0, 1)
        )
        halves = np.concatenate([first["another"], second["another"]])
        self.assert_close(halves, found["another"].numpy(), atol=0)
