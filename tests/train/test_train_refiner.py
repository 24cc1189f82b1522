"""Tests of the face refiner's training: examples, losses, program."""

import dataclasses
from unittest import mock

import numpy as np
import pytest
from keras import ops

from facedancer.errors import InputError
from facedancer.imaging import images, sample_photos
from facedancer.models.families.face_refiner import loading
from facedancer.networks import epochs
from facedancer.train import train_refiner
from facedancer.train.refining import examples, losses, measuring, photos
from facedancer.train.refining.photos import SwappedPhoto
from facedancer.train.refining.settings import TrainRefinerSettings
from tests import testing

SIZE, SIDE = 64, 24


def crop(seed, size=SIZE):
    """A patterned crop, `(size, size, 3)`, sharp and in its own colours."""
    random = np.random.default_rng(seed)
    image = random.integers(60, 200, (1, 1, 3)) + random.normal(0, 20, (size, size, 1))
    return image.clip(0, 255).astype(np.uint8)


def swapped_photo(seed):
    image = crop(seed)
    faces = [np.full((SIDE, SIDE, 3), level, np.uint8) for level in (40, 90, 200)]
    return SwappedPhoto(image, faces[0], np.stack(faces[1:]))


def settings_for(folder, **more):
    given = dict(
        data_dir=str(folder / "crops"),
        output=str(folder / "refiner.keras"),
        holdout=2,
        image_size=64,
        patch=32,
        width=4,
        blocks=1,
        swaps=1,
        steps=4,
        batch_size=2,
        save_every=2,
        adversarial_from=1,
    )
    return TrainRefinerSettings(**(given | more))


def write_crops(folder, count=4):
    for number in range(count):
        photo = sample_photos.read("collins" if number % 2 else "hopper")
        part = photo[40 + 9 * number : 300, 60 : 320 - 9 * number]
        images.write_image(
            folder / "crops" / f"p{number}.png", images.resize(part, SIZE)
        )


class ExamplesTest(testing.TestCase):
    def test_known_and_unknown(self):
        photo, other = swapped_photo(1), swapped_photo(2)
        with mock.patch.object(examples, "_COARSE", 0.0):
            drawn = [
                examples.draw(photo, other, known, np.random.default_rng(seed))
                for known in (0.0, 1.0)
                for seed in range(6)
            ]
        for one in drawn[:6]:
            self.assertFalse(one.known)
            self.assertIs(
                one.target.base if one.target.base is not None else one.target,
                photo.image,
            )
            self.assertIn(int(one.swapped.mean()), (90, 200))
        changed = 0
        for one in drawn[6:]:
            self.assertTrue(one.known)
            whole = (
                one.truth
                if one.truth[0, 0, 0] == photo.image[0, 0, 0]
                else (one.truth[:, ::-1])
            )
            np.testing.assert_array_equal(whole, photo.image)
            changed += (one.target != one.truth).any()
        self.assertGreater(changed, 3)

    def test_parts_of_strangers_come_in_the_photos_colours(self):
        image = np.full((SIZE, SIZE, 3), 100, np.uint8)
        stranger = np.full((SIZE, SIZE, 3), 180, np.uint8)
        stranger[28:36, 30:34] = 120  # a nose
        found = examples._replaced(
            image, stranger, [examples._FACE], np.random.default_rng(0)
        )
        self.assertLess(np.abs(found[20:24, 20:44].astype(int) - 100).max(), 12)
        self.assertLess(found[30:34, 31:33].max(), 80)  # the nose is darker
        np.testing.assert_array_equal(found[:2], image[:2])

    def test_a_square_lies_in_the_crop(self):
        random = np.random.default_rng(0)
        corners = [examples.corner(64, 48, random) for _ in range(50)]
        self.assertTrue(all(0 <= k <= 16 for one in corners for k in one))
        self.assertGreater(len(set(corners)), 20)
        drawn = examples.draw(swapped_photo(1), swapped_photo(2), 1.0, random)
        part = drawn.part(3, 5, 16)
        np.testing.assert_array_equal(part.truth, drawn.truth[3:19, 5:21])
        np.testing.assert_array_equal(part.mirrored().target, part.target[:, ::-1])


class LossesTest(testing.TestCase):
    def test_by_hand(self):
        random = np.random.default_rng(0)
        a, b = random.uniform(-1, 1, (2, 3, 8, 12, 3)).astype(np.float32)
        known = np.array([1.0, 0.0, 1.0], np.float32)
        d = b - a
        each = np.abs(d).mean((1, 2, 3))
        each = each + np.abs(np.diff(d, axis=1)).mean((1, 2, 3))
        each = each + np.abs(np.diff(d, axis=2)).mean((1, 2, 3))
        self.assert_close(losses.known_loss(a, b, known), (each[0] + each[2]) / 2)
        cells = d.reshape(3, 2, 4, 3, 4, 3).mean((2, 4))
        expected = np.abs(cells[1]).mean()
        self.assert_close(losses.coarse_loss(a, b, known), expected)
        self.assert_close(losses.known_loss(a, b, 0 * known), 0.0)
        maps = [1.0 + np.abs(a), 2.0 + np.abs(b)]
        expected = np.mean([np.abs(d[[0, 2]]).mean() / np.abs(m).mean() for m in maps])
        found = losses.feature_loss(maps, [m + d for m in maps], known)
        self.assert_close(found, expected, rtol=1e-4)
        real, fake = np.array([2.0, 0.5]), np.array([-3.0, 0.25])
        self.assert_close(losses.hinge(ops.array(real), ops.array(fake)), 0.875)


class TrainRefinerTest(testing.TestCase):
    @pytest.mark.slow
    def test_a_refiner_is_trained_and_written(self):
        folder = self.tempdir()
        write_crops(folder)
        self.assertEqual(train_refiner.main(settings_for(folder, steps=1)), 0)
        network = loading.load_network(folder / "refiner.keras")
        self.assertEqual((network.config.width, network.config.image_size), (4, 64))
        self.assertEqual(list(folder.glob("*.npz")), [])

    @pytest.mark.large
    def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(self):
        whole, parts = self.tempdir(), self.tempdir()
        for folder in (whole, parts):
            write_crops(folder)
        self.assertEqual(train_refiner.main(settings_for(whole)), 0)
        settings = settings_for(parts)
        with mock.patch.object(
            epochs.FollowEpoch, "on_epoch_end", side_effect=KeyboardInterrupt
        ):
            with self.assertRaises(KeyboardInterrupt):
                train_refiner.main(settings)
        self.assertEqual(
            [p.name for p in parts.glob("*.npz")], ["refiner.keras.backup.npz"]
        )
        self.assertEqual(train_refiner.main(settings), 0)
        found = [
            loading.load_network(folder / "refiner.keras").get_weights()
            for folder in (whole, parts)
        ]
        for one, other in zip(*found, strict=True):
            self.assert_close(one, other, atol=1e-6)
        self.assertEqual(list(parts.glob("*.npz")), [])

    def test_what_is_refused(self):
        folder = self.tempdir()
        write_crops(folder, 2)
        with self.assertRaisesRegex(InputError, "2 crops are sharp enough"):
            photos.read(settings_for(folder))
        soft = settings_for(folder, min_sharpness=1e6)
        with self.assertRaisesRegex(InputError, r"0 crops .*\(2 are not\)"):
            photos.read(soft)
        for changes, words in (
            ({"patch": 128}, "no larger than a crop. Received: 128 and 64"),
            ({"patch": 34}, "multiples of 4"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                settings_for(folder, **changes)


def test_sharpness_by_hand():
    image = np.zeros((16, 16, 3), np.uint8)
    image[8, 8] = 80
    # a point among 64 of the middle: itself -4 times, its four neighbours once
    assert measuring.sharpness(image) == pytest.approx(80 * 8 / 64)
    assert measuring.sharpness(np.full((16, 16, 3), 9.0)) == 0.0


def test_measures_of_what_only_enlarges():
    """One that gives the enlarged face back moves nothing and sharpens nothing."""

    class Copy:
        def named(self, feeds):
            return {"refined": feeds["swapped"]}

    found = measuring.measure(Copy(), [swapped_photo(k) for k in range(3)])
    assert found.sharpness[0] == pytest.approx(found.sharpness[1], abs=1e-3)
    assert found.wrong[0] == pytest.approx(found.wrong[1], abs=1e-3)
    assert found.moved == pytest.approx(0.0, abs=1e-3)
    assert "enlarged 0." in dataclasses.replace(found, moved=1.0).lines()[0]
