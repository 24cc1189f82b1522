"""Tests of the training of detectors and of what is measured on them."""

import dataclasses
import math
from unittest import mock

import keras
import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.face import face_labels
from facedancer.face.faces import Faces
from facedancer.imaging import images
from facedancer.retinaface import (
    anchors,
    build_retinaface,
    detector,
    label_faces,
    load_detector,
)
from facedancer.retinaface.training import (
    fitting,
    matching,
    measuring,
    scenes,
)
from facedancer.retinaface.training.settings import TrainDetectorSettings
from facedancer.storage import backup
from tests import testing


def face_picture(seed=0):
    """A noisy picture with a disc that has two eyes; its box and landmarks."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 90, (96, 112, 3)).astype(np.uint8)
    y, x = np.mgrid[:96, :112]
    image[(x - 56) ** 2 + (y - 48) ** 2 < 24**2] = (220, 180, 150)
    points = np.array([[47, 42], [65, 42], [56, 50], [49, 58], [63, 58]], np.float64)
    for px, py in points[:2]:
        image[(x - px) ** 2 + (y - py) ** 2 < 16] = 20
    return image, np.array([32.0, 24.0, 80.0, 72.0]), points


def write_photos(folder, count=4):
    """Writes pictures and their table; returns the table."""
    found = {}
    for number in range(count):
        image, box, points = face_picture(number)
        images.write_image(folder / f"person{number}" / "a.png", image)
        faces = Faces(box[None], points[None], np.ones(1))
        found[f"person{number}/a.png"] = faces
    face_labels.write_labels(folder / "labels.csv", found)
    return folder / "labels.csv"


def tiny_network():
    """Gives every anchor of a picture of 32 pixels some numbers."""
    image = keras.layers.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.AveragePooling2D(16)(x)
    x = keras.layers.Flatten()(x)
    n = len(anchors.make_anchors(32, 32))
    sizes = {"boxes": 4, "classes": 2, "landmarks": 10}
    outputs = {
        name: keras.layers.Reshape((n, size))(keras.layers.Dense(n * size)(x))
        for name, size in sizes.items()
    }
    return keras.Model(image, outputs)


def settings_for(folder, **more):
    table = write_photos(folder)
    given = dict(
        data_dir=(str(folder),),
        labels=(str(table),),
        output=str(folder / "detector.keras"),
        image_size=64,
        steps=4,
        batch_size=2,
        save_every=2,
        workers=1,
    )
    return TrainDetectorSettings(**(given | more))


class TrainDetectorTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()

    def test_targets_are_those_of_the_picture(self):
        settings = settings_for(self.folder)
        photos = fitting.read_photos(settings)
        kinds = scenes.SceneSettings(size=96, mosaics=0, crowds=0, empty=0)
        random = np.random.default_rng
        image, targets = fitting.make_example(photos, kinds, random(5))
        scene = scenes.make_picture(photos, kinds, random(5))
        np.testing.assert_array_equal(image, scene.image)
        grid = anchors.make_anchors(96, 96)
        found = targets.labels == matching.POSITIVE
        self.assertGreater(found.sum(), 0)
        boxes = anchors.decode_boxes(targets.boxes[found], grid[found])
        self.assert_close(boxes, np.repeat(scene.boxes[:1], len(boxes), 0), 1e-4, 1e-3)

    def test_batches_repeat_by_number_and_change_by_epoch(self):
        photos = fitting.read_photos(settings_for(self.folder))
        kinds = scenes.SceneSettings(size=64)
        batches = fitting.Batches(photos, kinds, 2, 3, seed=1)
        self.assertEqual(len(batches), 3)
        first, targets = batches[1]
        self.assertEqual(first.shape, (2, 64, 64, 3))
        self.assertEqual(first.dtype, np.float32)
        n = len(anchors.make_anchors(64, 64))
        self.assertEqual(targets["landmarks"].shape, (2, n, 10))
        np.testing.assert_array_equal(first, batches[1][0])
        batches.epoch = 1
        self.assertTrue((first != batches[1][0]).any())

    def test_the_loss_is_that_of_the_formulas(self):
        network = keras.Sequential([keras.layers.Identity()])
        model = fitting.DetectorTraining(network)
        n = 5
        outputs = {
            "classes": np.zeros((1, n, 2), np.float32),
            "boxes": np.zeros((1, n, 4), np.float32),
            "landmarks": np.zeros((1, n, 10), np.float32),
        }
        targets = {
            "labels": np.array([[1, 0, 0, 0, -1]]),
            "boxes": np.ones((1, n, 4), np.float32),
            "landmarks": np.full((1, n, 10), 2.0, np.float32),
            "has_landmarks": np.float32([[1, 0, 0, 0, 0]]),
        }
        # four anchors of log 2 by one face; 2 x four halves; ten of 2 - 0.1 / 2
        loss = model.compute_loss(y=targets, y_pred=outputs)
        self.assert_close(loss, np.array(4 * math.log(2) + 2 * 2 + 19.5))
        weights = {"classes": 1.0, "boxes": 2.0, "landmarks": 3.0}
        model = fitting.DetectorTraining(network, weights)
        loss = model.compute_loss(y=targets, y_pred=outputs)
        self.assert_close(loss, np.array(4 * math.log(2) + 2 * 2 + 58.5))
        self.assert_close(model.trackers["landmarks"].result(), np.array(19.5))

    @pytest.mark.slow
    def test_a_stopped_run_ends_as_an_undisturbed_one(self):
        excluded = self.folder / "no.txt"
        excluded.write_text("person3\n")
        whole = settings_for(self.folder, exclude=str(excluded), image_size=32)
        self.assertEqual(len(fitting.read_photos(whole)), 3)
        stopped = dataclasses.replace(whole, output=str(self.folder / "other.keras"))
        make = fitting.make_example
        calls = iter(range(6))  # three of four batches

        def failing(*arguments):
            if next(calls, None) is None:
                raise RuntimeError("power cut")
            return make(*arguments)

        with (
            mock.patch.object(fitting, "build_retinaface", tiny_network),
            mock.patch.object(fitting, "calibrate_scores"),
        ):
            fitting.train(whole)
            with mock.patch.object(fitting, "make_example", failing):
                with pytest.raises(Exception, match="power cut"):
                    fitting.train(stopped)
            self.assertFalse((self.folder / "other.keras").exists())
            fitting.train(stopped)
        one, other = (keras.saving.load_model(x.output) for x in (whole, stopped))
        new = tiny_network().get_weights()
        for expected, found, start in zip(
            one.get_weights(), other.get_weights(), new, strict=True
        ):
            self.assert_close(found, expected)
            self.assertGreater(np.abs(expected - start).max(), 1e-3)
        self.assertFalse(list(self.folder.glob(".tmp*")))
        self.assertFalse(list(self.folder.glob("*.backup*")))

    def test_backup_is_whole_or_absent(self):
        """Keras' own was written over: who killed a run then could not go on."""
        path = self.folder / "a.backup.npz"
        one, other = (
            [keras.Variable(np.full(shape, v, np.float32)) for shape in ((2, 3), ())]
            for v in (3.0, 0.0)
        )
        self.assertEqual(backup.Backup(path, one).restore(), 0)
        backup.Backup(path, one).on_epoch_end(4)
        self.assertEqual(backup.Backup(path, other).restore(), 5)
        self.assertEqual(float(keras.ops.sum(other[0]) + other[1]), 21.0)
        with self.assertRaisesRegex(InputError, "a.backup.npz: belongs to another"):
            backup.Backup(path, one[:1]).restore()
        before = path.read_bytes()
        with mock.patch.object(np, "savez", side_effect=OSError(28, "No space left")):
            with self.assertRaisesRegex(InputError, "a.backup.npz: cannot be written"):
                backup.Backup(path, one).on_epoch_end(5)
        self.assertEqual(path.read_bytes(), before)
        path.write_bytes(before[:300])
        with self.assertRaisesRegex(InputError, "damaged backup; remove it"):
            backup.Backup(path, one).restore()

    def test_a_run_stopped_at_its_end_need_not_train_again(self):
        settings = settings_for(self.folder, image_size=32)
        calibrate = mock.Mock(side_effect=[RuntimeError("power cut"), 0.5])
        with (
            mock.patch.object(fitting, "build_retinaface", tiny_network),
            mock.patch.object(fitting, "calibrate_scores", calibrate),
        ):
            with pytest.raises(RuntimeError, match="power cut"):
                fitting.train(settings)
            trained = calibrate.call_args.args[0].get_weights()
            with mock.patch.object(fitting.SetEpoch, "on_epoch_begin") as epoch:
                fitting.train(settings)
        epoch.assert_not_called()
        found = calibrate.call_args.args[0].get_weights()
        for expected, weight in zip(trained, found, strict=True):
            self.assert_close(weight, expected)

    def test_calibration_makes_one_half_of_the_score_that_was_right(self):
        photos = fitting.read_photos(settings_for(self.folder))
        network = build_retinaface(width=4, channels=8)
        image = face_picture()[0][None].astype(np.float32)
        before = np.asarray(network(image)["classes"])
        quality = measuring.Quality(9, 0.9, 0.8, 0.9, 0.1)
        with mock.patch.object(measuring, "measure", return_value=quality) as measure:
            fitting.calibrate_scores(network, photos, max_photos=2)
        self.assertLen(list(measure.call_args.args[1]), 2)
        after = np.asarray(network(image)["classes"])
        odds = (before - after)[..., 1]
        self.assert_close(odds, np.full(odds.shape, math.log(4.0)), atol=1e-4)
        self.assert_close(before[..., 0], after[..., 0])

    @pytest.mark.large
    def test_the_real_network_learns(self):
        settings = settings_for(self.folder, steps=20, save_every=20)
        fitting.train(settings)
        found = load_detector(settings.output, score_threshold=0.0, working_size=0)
        self.assertEqual(found.name, "retinaface-mobilenet025")
        outputs = found.network.predict(face_picture()[0][None], verbose=0)
        again = dataclasses.replace(settings, init=settings.output)
        self.assertEqual(
            fitting.build_network(again).count_params(),
            found.network.count_params(),
        )
        wanted = anchors.make_anchors(96, 112)
        self.assertEqual(outputs["boxes"].shape, (1, len(wanted), 4))

    def test_errors(self):
        with pytest.raises(ValueError, match="must end in .keras. Received: x.h5"):
            settings_for(self.folder, output="x.h5")
        with pytest.raises(ValueError, match="in pairs. Received: 2 folders, 1 tables"):
            settings_for(self.folder, data_dir=("a", "b"))
        with pytest.raises(ValueError, match="`steps` must be at least 1. Received: 0"):
            settings_for(self.folder, steps=0)
        settings = settings_for(self.folder, exclude="nowhere.txt")
        with pytest.raises(InputError, match="nowhere.txt: No such file"):
            fitting.read_photos(settings)
        everybody = self.folder / "all.txt"
        everybody.write_text("\n".join(f"person{i}" for i in range(4)))
        settings = settings_for(self.folder, exclude=str(everybody))
        with pytest.raises(InputError, match="No labelled photo is left"):
            fitting.read_photos(settings)


class LabelFacesTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()

    def test_no_photo(self):
        settings = label_faces.LabelSettings(
            data_dir=str(self.folder), output=str(self.folder / "x.csv")
        )
        with pytest.raises(InputError, match="no images in"):
            label_faces.label(settings)


class Fixed(detector.Detector):
    """Finds the same in every picture."""

    def __init__(self, faces):
        super().__init__(detector.DetectorOptions(score_threshold=0.0))
        self.faces = faces

    def _search(self, batch, min_side):
        return [self.faces] * len(batch)


class MeasuringTest(testing.TestCase):
    def scene(self):
        boxes = np.array([[0, 0, 20, 20], [40, 0, 60, 20], [70, 0, 90, 20]], float)
        points = np.array([[5, 5], [15, 5], [10, 10], [6, 15], [14, 15]], float)
        points = points + boxes[:, None, :2]
        image = np.zeros((40, 100, 3), np.uint8)
        return scenes.Scene(image, boxes, points, np.array([True, True, False]))

    def found(self):
        scene = self.scene()
        boxes = scene.boxes[[0, 0, 2, 1]] + [
            [1, 0, 1, 0],
            [0] * 4,
            [0] * 4,
            [0, 30] * 2,
        ]
        points = scene.landmarks[[0, 0, 2, 1]] + [2.0, 0.0]
        return Faces(boxes, points, np.array([0.9, 0.8, 0.7, 0.6]))

    def test_matches_by_hand(self):
        matches = measuring.match_detections(self.found(), self.scene())
        # the first is right, the second finds the same again, the third is not
        # counted, the fourth lies beside every face
        self.assertEqual(matches.labels.tolist(), [1, 0, -1, 0])
        self.assert_close(matches.errors[0], np.array(0.2))  # 2 of 10 pixels
        self.assertTrue(np.isnan(matches.errors[1:]).all())

    def test_quality_by_hand(self):
        quality = measuring.measure(Fixed(self.found()), [self.scene()] * 2)
        self.assertEqual(quality.faces, 4)
        self.assertAlmostEqual(quality.recall, 0.5)
        self.assertAlmostEqual(quality.threshold, 0.9, 5)
        self.assertAlmostEqual(quality.average_precision, 0.5)
        self.assertAlmostEqual(quality.landmark_error, 0.2, 5)

    def test_a_precision_that_is_never_reached(self):
        wrong = self.found()[3:]
        quality = measuring.measure(Fixed(wrong), [self.scene()])
        self.assertEqual((quality.recall, quality.threshold), (0.0, 1.0))
        self.assertTrue(math.isnan(quality.landmark_error))
