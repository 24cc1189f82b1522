"""Tests of `facedancer.retinaface.detector` and `retinaface_detector`."""

import dataclasses

import cv2
import keras
import numpy as np
import pytest
import skimage.data
from absl.testing import parameterized

from facedancer.face import rotated_search
from facedancer.face.boxes import overlap
from facedancer.face.faces import Faces, concatenate, turn_back
from facedancer.imaging import images
from facedancer.retinaface import (
    Detector,
    DetectorOptions,
    RetinaFaceDetector,
    build_retinaface,
    load_detector,
    retinaface_detector,
)
from facedancer.retinaface.training import measuring
from tests import testing

POINTS = np.tile(np.float32([[4, 3]]), (5, 1))


class Fixed(Detector):
    """Finds the same two faces in every searched image, and notes what it searched."""

    name = "fixed"

    def __init__(self, **options):
        super().__init__(DetectorOptions(**options))
        self.searched = []

    def _search(self, batch, min_side):
        self.searched.append((batch.shape, min_side))
        one = Faces(
            [[0, 0, 4, 2], [1, 1, 9, 7]], np.stack([POINTS, POINTS + 1]), [0.4, 0.9]
        )
        return [one for _ in batch]


def photo(height, width, value=0):
    return np.full((height, width, 3), value, np.uint8)


class DetectorTest(testing.TestCase):
    def test_best_score_first(self):
        found = Fixed(score_threshold=0.1).detect(photo(20, 30))
        self.assert_close(found.scores, np.array([0.9, 0.4]))
        self.assert_close(found.boxes[0], np.array([1, 1, 9, 7]))
        self.assert_close(found.landmarks[0], POINTS + 1)

    def test_thresholds(self):
        self.assertLen(Fixed(score_threshold=0.4).detect(photo(20, 30)), 2)
        self.assertLen(Fixed(score_threshold=0.41).detect(photo(20, 30)), 1)
        self.assertLen(Fixed(score_threshold=0.0, min_face=5).detect(photo(9, 9)), 1)
        self.assertLen(Fixed(score_threshold=0.0, min_face=9).detect(photo(9, 9)), 0)

    def test_large_images_are_searched_small_and_mapped_back(self):
        detector = Fixed(working_size=40)
        found = detector.detect(photo(60, 80))
        self.assertEqual(detector.searched, [((1, 30, 40, 3), 0.0)])
        # twice as large; edges at -0.5: (1 + .5) * 2 - .5 = 2.5
        self.assert_close(found.boxes[0], np.array([2.5, 2.5, 18.5, 14.5]))
        self.assert_close(found.landmarks[0, 0], np.array([10.5, 8.5]))

    @parameterized.parameters(
        (0, False, (60, 80)),
        (200, False, (60, 80)),
        (160, True, (120, 160)),
        (40, True, (30, 40)),
    )
    def test_working_size(self, size, enlarge, expected):
        detector = Fixed(working_size=size, enlarge=enlarge)
        detector.detect(photo(60, 80))
        self.assertEqual(detector.searched[0][0], (1, *expected, 3))

    def test_smallest_face_is_given_in_searched_pixels(self):
        detector = Fixed(working_size=40, min_face=30)
        detector.detect(photo(60, 80))
        self.assertEqual(detector.searched[0][1], 15.0)

    def test_batches_keep_the_order_and_group_sizes(self):
        detector = Fixed(batch_size=2, working_size=40)
        sizes = [(20, 30), (60, 80), (20, 30), (20, 30), (30, 40)]
        found = detector.detect_batch([photo(*size) for size in sizes])
        shapes = sorted(shape[:2] + shape[2:3] for shape, _ in detector.searched)
        self.assertEqual(shapes, [(1, 20, 30), (2, 20, 30), (2, 30, 40)])
        widths = [one.boxes[0, 2] - one.boxes[0, 0] for one in found]
        self.assert_close(np.array(widths), np.array([8, 16, 8, 8, 8]))
        self.assertEqual(detector.detect_batch([]), [])

    @parameterized.parameters(
        (np.zeros((5, 5, 3), "float32"), "float32 of shape"),
        (np.zeros((5, 5), "uint8"), "of shape \\(5, 5\\)"),
        (np.zeros((5, 5, 4), "uint8"), "of shape \\(5, 5, 4\\)"),
        (np.zeros((0, 5, 3), "uint8"), "of shape \\(0, 5, 3\\)"),
    )
    def test_bad_images(self, image, words):
        with self.assertRaisesRegex(ValueError, words):
            Fixed().detect(image)

    @parameterized.parameters(
        dict(score_threshold=1.5),
        dict(nms_threshold=-0.1),
        dict(working_size=-1),
        dict(min_face=-1.0),
        dict(batch_size=0),
    )
    def test_bad_options(self, **options):
        (name,) = options
        with self.assertRaisesRegex(ValueError, f"`{name}` must .* Received: "):
            DetectorOptions(**options)


class Looks(RetinaFaceDetector):
    """Finds what it is told at each size of picture, and notes what it searched."""

    def __init__(self, found, **options):
        network = build_retinaface()
        super().__init__(network, DetectorOptions(working_size=0, **options))
        self.faces_at = found
        self.searched = []

    def _find(self, batch):
        self.searched.append(batch.shape)
        return [self.faces_at(batch.shape[2], image) for image in batch]


def face_at(left, top, side, point, score=0.9):
    """One face whose five landmarks are one point."""
    box = [left, top, left + side, top + side]
    return Faces([box], np.tile(np.float32(point), (1, 5, 1)), [score])


class SecondLookTest(testing.TestCase):
    def test_a_large_face_comes_from_half_the_size(self):
        half = face_at(21, 11, 150, (51, 44), score=0.6)
        detector = Looks(
            lambda width, _: face_at(40, 20, 300, (9, 9)) if width == 401 else half
        )
        found = detector.detect(photo(360, 401))
        self.assertEqual(detector.searched, [(1, 360, 401, 3), (1, 180, 200, 3)])
        self.assert_close(found.scores, half.scores)
        # edges at -0.5: (21 + .5) * 401 / 200 - .5, (11 + .5) * 2 - .5
        corner = np.array([42.6075, 22.5])
        self.assert_close(found.boxes[0, :2], corner, 1e-6, 1e-4)
        point = np.array([102.7575, 88.5])
        self.assert_close(found.landmarks[0, 3], point, 1e-6, 1e-4)

    def test_it_looks_smaller_until_no_face_is_large(self):
        sides = {1600: 310, 800: 320, 400: 250, 200: 130}
        detector = Looks(lambda width, _: face_at(0, 0, sides[width], (1, 1)))
        found = detector.detect(photo(1200, 1600))
        widths = [shape[2] for shape in detector.searched]
        self.assertEqual(widths, [1600, 800, 400, 200])
        # at 400 pixels a quarter of 250 and three quarters of 260
        self.assert_close(found.sides, np.array([1030.0]))

    def test_only_pictures_with_a_large_face_are_searched_again(self):
        large, small = face_at(0, 0, 240, (9, 9)), face_at(0, 0, 200, (9, 9))

        def look(width, image):
            if width == 300:
                return large if image[0, 0, 0] else small
            return face_at(0, 0, 120, (5, 5), score=0.8)

        detector = Looks(look)
        found = detector.detect_batch([photo(300, 300, value) for value in (0, 1, 0)])
        self.assertEqual(detector.searched, [(3, 300, 300, 3), (1, 150, 150, 3)])
        points = [float(faces.landmarks[0, 0, 0]) for faces in found]
        # 240 lies half way from 200 to 280: the mean of 9 and (5 + .5) * 2 - .5
        self.assertEqual(points, [9.0, 9.75, 9.0])
        self.assert_close(found[1].scores, np.float32([0.85]))

    def test_parts_of_a_large_face_go_and_its_neighbours_stay(self):
        near = concatenate(
            [
                face_at(60, 40, 200, (1, 1), score=0.95),  # an eye and the nose
                face_at(0, 0, 250, (2, 2)),
                face_at(250, 200, 100, (3, 3), score=0.7),  # half of it inside
                face_at(500, 0, 90, (4, 4), score=0.65),
            ]
        )
        far = concatenate([face_at(0, 0, 150, (5, 5)), face_at(250, 0, 45, (6, 6))])
        detector = Looks(lambda width, _: near if width == 640 else far)
        found = detector.detect(photo(640, 640))
        self.assert_close(found.scores, np.float32([0.9, 0.7, 0.65]))
        points = found.landmarks[:, 0, 0]
        self.assert_close(points, np.array([10.5, 3.0, 4.0]))

    def test_a_face_that_only_half_the_size_shows_is_taken_from_there(self):
        near = face_at(300, 0, 230, (9, 9), score=0.8)
        far = face_at(0, 0, 115, (5, 5))
        detector = Looks(lambda width, _: near if width == 600 else far)
        found = detector.detect(photo(600, 600))
        self.assert_close(found.scores, np.float32([0.9, 0.8]))
        self.assert_close(found.landmarks[:, 0, 0], np.array([10.5, 9.0]))

    def test_a_large_find_that_half_the_size_does_not_show_is_no_face(self):
        first = concatenate([face_at(0, 0, 300, (9, 9)), face_at(400, 400, 80, (7, 7))])
        nothing = Faces.empty()
        detector = Looks(lambda width, _: first if width == 600 else nothing)
        found = detector.detect(photo(600, 600))
        self.assert_close(found.landmarks, first.landmarks[1:])

    def test_a_picture_too_small_for_a_large_face_is_not_searched_again(self):
        detector = Looks(lambda *_: face_at(0, 0, 300, (9, 9)))
        self.assertLen(detector.detect(photo(200, 180)), 1)
        self.assertLen(detector.searched, 1)

    def test_a_close_up_is_one_face_as_in_the_photo(self):
        image = skimage.data.astronaut()[:300, 80:380]
        expected = load_detector().detect(image)[:1]
        for factor in (3, 5):
            large = cv2.resize(image, None, fx=factor, fy=factor)
            found = load_detector(working_size=0, score_threshold=0.7).detect(large)
            self.assertLen(found, 1)
            self.assert_close(found.sides / factor, expected.sides, 0.1)
            points = (found.landmarks[0] + 0.5) / factor - 0.5
            error = measuring.landmark_error(points, expected.landmarks[0])
            self.assertLess(error, 0.07)

    def test_off(self):
        detector = Looks(lambda *_: face_at(0, 0, 300, (9, 9)), second_look=False)
        detector.detect(photo(600, 600))
        self.assertLen(detector.searched, 1)


class Spots(Detector):
    """Finds one face at the brightest pixel; surest where it has the wanted shape."""

    name = "spots"

    def __init__(self, shape, **options):
        super().__init__(DetectorOptions(**options))
        self.shape = shape

    def _search(self, batch, min_side):
        found = []
        for image in batch:
            y, x = np.argwhere(image[..., 0] == 255)[0]
            points = np.float32([[x, y], [x + 1, y], [x, y], [x, y], [x, y]])
            score = 0.9 if image.shape[:2] == self.shape else 0.6
            found.append(Faces([[x - 2, y - 1, x + 2, y + 1]], points[None], [score]))
        return found


class TurnedTest(testing.TestCase):
    @parameterized.parameters(0, 1, 2, 3)
    def test_turn_back_follows_a_pixel(self, turns):
        image = photo(5, 8)
        image[1, 6] = 255
        turned = np.rot90(image, turns)
        found = Spots((5, 8))._search(turned[None], 0)[0]
        back = turn_back(found, turns, (5, 8))
        self.assert_close(back.landmarks[0, 0], np.array([6, 1]))
        wide = [4, 0, 8, 2] if turns % 2 == 0 else [5, -1, 7, 3]
        self.assert_close(back.boxes[0], np.array(wide))

    def test_the_surest_view_stays(self):
        image = photo(5, 8)
        image[1, 6] = 255
        (upright,) = Spots((5, 8)).detect(image).landmarks
        self.assert_close(upright[1], np.array([7, 1]))
        options = dict(turned=True, nms_threshold=0.1)
        faces = Spots((8, 5), **options).detect(image)
        self.assert_close(faces.scores, np.array([0.9]))
        # turned once, "right" is down in the photo
        self.assert_close(faces.landmarks[0, 1], np.array([6, 2]))

    @parameterized.named_parameters(
        ("overlaps", [[1, 0, 11, 10]], True),
        ("centre_inside", [[4, 4, 30, 30]], True),
        ("beside", [[6, 0, 16, 10]], False),
        ("none", np.zeros((0, 4)), False),
    )
    def test_seen_already(self, others, expected):
        box = np.float32([0, 0, 10, 10])
        found = rotated_search._seen_already(box, np.float32(others), 0.4)
        self.assertEqual(found, expected)

    @pytest.mark.slow
    def test_a_photo_on_its_side(self):
        path = testing.shared("faces", "lfw", "AJ_Cook", "AJ_Cook_0001.jpg")
        weights = testing.shared("models", "detection", "retinaface_mobilenet025.npz")
        image = images.read_image(path)
        expected = load_detector(weights).detect(image).landmarks[0]
        found = load_detector(weights, turned=True).detect(np.rot90(image).copy())
        self.assertLen(found, 1)
        turned = np.stack([expected[:, 1], 249 - expected[:, 0]], axis=1)
        self.assert_close(found.landmarks[0], turned, 0, 2.0)


class RetinaFaceDetectorTest(testing.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(0)
        network = build_retinaface(width=4, channels=8)
        options = DetectorOptions(score_threshold=0.3, working_size=0)
        cls.detector = RetinaFaceDetector(network, options)

    def setUp(self):
        super().setUp()
        random = np.random.default_rng(0)
        self.photos = random.integers(0, 255, (3, 50, 71, 3), np.uint8)

    def test_name(self):
        self.assertEqual(self.detector.name, "retinaface-mobilenet025")

    @pytest.mark.slow
    def test_batch_equals_one_by_one(self):
        together = self.detector.detect_batch(list(self.photos))
        for image, found in zip(self.photos, together, strict=True):
            alone = self.detector.detect(image)
            self.assertGreater(len(alone), 0)
            self.assert_close(found.scores, alone.scores, 1e-4, 1e-4)
            self.assert_close(found.landmarks, alone.landmarks, 1e-3, 1e-2)

    def test_padding_is_the_colour_that_the_network_sees_as_zero(self):
        padded = self.detector._pad(self.photos)
        self.assertEqual(padded.shape, (3, 64, 96, 3))
        self.assert_close(padded[:, :50, :71], self.photos.astype("float32"))
        self.assert_close(padded[2, 63, 95], np.array([123.0, 117.0, 104.0]))
        seen = self.detector.network.get_layer("subtract_mean")(padded)
        self.assert_close(np.asarray(seen)[:, 50:], np.zeros((3, 14, 96, 3)))

    def test_rows(self):
        rows = self.detector(self.photos[:1])
        self.assertEqual(rows.shape[1], 16)
        self.assertTrue((np.diff(rows[:, 15]) <= 0).all())
        self.assertGreater(rows[:, 15].min(), 0.02)
        self.assert_close(rows[:, 14], np.ones(len(rows)))
        with self.assertRaisesRegex(ValueError, "Received: shape \\(3, 50, 71, 3\\)"):
            self.detector(self.photos)

    def test_rows_are_the_faces_relative_to_the_size(self):
        image = self.photos[0][:32, :64]
        rows = self.detector(image[None])
        options = dataclasses.replace(
            self.detector.options, vote=False, second_look=False, drop_ghosts=False
        )
        found = RetinaFaceDetector(self.detector.network, options).detect(image)
        best = rows[: len(found)]
        self.assert_close(best[:, 15], found.scores, 1e-4, 1e-5)
        self.assert_close(best[:, 2] * 64, found.boxes[:, 2], 1e-3, 1e-2)
        self.assert_close(best[:, 5] * 32, found.landmarks[:, 0, 1], 1e-3, 1e-2)

    @pytest.mark.slow
    def test_all_boxes_on_a_face_vote(self):
        options = dataclasses.replace(
            self.detector.options,
            nms_threshold=1.0,
            second_look=False,
            drop_ghosts=False,
        )
        network = self.detector.network
        alone = dataclasses.replace(options, vote=False)
        every = RetinaFaceDetector(network, alone).detect(self.photos[0])
        voted = RetinaFaceDetector(network, options).detect(self.photos[0])
        self.assert_close(voted.boxes, every.boxes)
        for box, points in zip(voted.boxes, voted.landmarks, strict=True):
            near = overlap(box, every.boxes) > 0.6
            weights = every.scores[near] / every.scores[near].sum()
            expected = np.tensordot(weights, every.landmarks[near], 1)
            self.assert_close(points, expected, 1e-4, 1e-3)
        self.assertGreater(np.abs(voted.landmarks - every.landmarks).max(), 1.0)

    def test_scores_are_a_softmax(self):
        logits = np.float32([[0, 0], [0, np.log(3)], [500, -500], [-500, 500]])
        scores = retinaface_detector.face_scores(logits)
        self.assert_close(scores, np.array([0.5, 0.75, 0.0, 1.0]))

    def test_too_many_candidates_leave_the_best(self):
        scores = np.linspace(0, 1, 6001)
        keep = retinaface_detector._best(scores, 0.1)
        self.assertLen(keep, 5000)
        self.assertGreater(scores[keep].min(), 1 - 5001 / 6000)
