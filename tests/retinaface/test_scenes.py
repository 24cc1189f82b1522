"""Tests of labels, scenes, backgrounds and degradation."""

import math

import cv2
import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.face import face_labels
from facedancer.face.faces import Faces
from facedancer.imaging import degrading, images
from facedancer.retinaface.training import backgrounds, scenes
from tests import testing

BOX = np.array([30.0, 20.0, 60.0, 60.0])
POINTS = np.array([[38, 34], [52, 34], [45, 42], [39, 50], [51, 50]], np.float64)
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


def drawn_photo(height=90, width=120):
    """A grey picture with one coloured blob a landmark."""
    image = np.full((height, width, 3), 90, np.uint8)
    for point, colour in zip(POINTS, COLOURS, strict=True):
        cv2.circle(image, tuple(map(int, point)), 3, colour, -1)
    return scenes.Scene(image, BOX[None], POINTS[None], np.ones(1, bool))


def blob_centres(image):
    """Where the five colours are, `(5, 2)`."""
    found = []
    for colour in COLOURS:
        near = np.abs(image.astype(int) - colour).max(axis=-1) < 60
        y, x = np.nonzero(near)
        found.append((x.mean(), y.mean()))
    return np.array(found)


class OnePhoto:
    """Stands for `scenes.Photos` with a single photo."""

    def __init__(self, photo):
        self.photo = photo

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.photo


class LabelsTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()

    def test_round_trip(self):
        folder = self.folder
        for name in ("a.png", "b/c.png"):
            images.write_image(folder / name, np.zeros((20, 30, 3), np.uint8))
        faces = Faces(
            np.array([[1, 2, 9, 14], [11, 2, 19, 14]]),
            np.arange(20).reshape(2, 5, 2),
            np.array([0.5, 0.9]),
        )
        one = Faces(faces.boxes[:1], faces.landmarks[:1], faces.scores[:1])
        table = folder / "labels.csv"
        face_labels.write_labels(table, {"b/c.png": faces, "a.png": one})
        first, second = face_labels.read_labels(table, folder)
        self.assertEqual(first.path, folder / "a.png")
        self.assert_close(first.faces.boxes, one.boxes)
        self.assert_close(second.faces.scores, np.array([0.9, 0.5]))  # best first
        self.assert_close(second.faces.landmarks, faces.landmarks[::-1])

    def test_errors_say_what_is_wrong(self):
        table = self.folder / "labels.csv"
        with pytest.raises(InputError, match="No such file"):
            face_labels.read_labels(table, self.folder)
        table.write_text("file,x0\na.png,1\n")
        with pytest.raises(InputError, match=r"missing: \['y0', 'x1'"):
            face_labels.read_labels(table, self.folder)
        row = ["a.png", *"1234", "high", *("5",) * 10]
        table.write_text(",".join(face_labels.COLUMNS) + "\n" + ",".join(row))
        with pytest.raises(InputError, match="line 2 must hold numbers"):
            face_labels.read_labels(table, self.folder)
        row[5] = "1"
        table.write_text(",".join(face_labels.COLUMNS) + "\n" + ",".join(row))
        with pytest.raises(InputError, match="1 of the 1 photos .* are not there"):
            face_labels.read_labels(table, self.folder)

    def test_photos_are_made_smaller_with_their_labels(self):
        path = self.folder / "big.png"
        photo = drawn_photo(180, 240)
        images.write_image(path, photo.image)
        faces = Faces(photo.boxes, photo.landmarks, np.array([0.7]))
        one = face_labels.LabelledPhoto(path, faces)
        read = scenes.Photos([one], longest=120, min_score=0.8)[0]
        self.assertEqual(read.image.shape, (90, 120, 3))
        self.assert_close(read.boxes, (BOX[None] + 0.5) / 2 - 0.5)
        self.assertEqual(read.counted.tolist(), [False])
        self.assertTrue(scenes.Photos([one], min_score=0.6)[0].counted[0])


class GeometryTest(testing.TestCase):
    def test_mirror_keeps_left_left(self):
        found = scenes.mirror(drawn_photo())
        self.assert_close(found.boxes[0], np.array([59, 20, 89, 60]))
        eyes = found.landmarks[0, :2]
        self.assertLess(eyes[0, 0], eyes[1, 0])
        swapped = blob_centres(found.image)[scenes.MIRRORED]
        self.assert_close(found.landmarks[0], swapped, 0, 0.6)

    def test_turned_boxes_by_hand(self):
        # a quarter turn swaps width and height; by 45 degrees both half sides are
        # sqrt((15^2 + 20^2) / 2)
        quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
        found = scenes.turned_boxes(BOX[None], quarter)
        self.assert_close(found[0], np.array([-60, 30, -20, 60]))
        half = math.sqrt(0.5)
        eighth = np.array([[half, -half, 0.0], [half, half, 0.0]])
        found = scenes.turned_boxes(BOX[None], eighth)[0]
        side = 2 * math.sqrt((15**2 + 20**2) / 2)
        self.assert_close(found[2:] - found[:2], np.array([side, side]))

    def test_landmarks_follow_the_picture(self):
        settings = scenes.SceneSettings(size=160, degrees=30.0)
        for seed in range(8):
            random = np.random.default_rng(seed)
            blank = scenes.Scene.empty(np.full((160, 160, 3), 90, np.uint8))
            scene = scenes._place(
                blank, drawn_photo(), 80, (80, 75), (0, 0, 160, 160), settings, random
            )
            seen = blob_centres(scene.image)
            if scene.landmarks[0, 0, 0] > scene.landmarks[0, 1, 0]:
                self.fail("The left eye must be left in the picture.")
            errors = [
                np.abs(scene.landmarks[0] - order).max()
                for order in (seen, seen[scenes.MIRRORED])
            ]
            self.assertLess(min(errors), 1.5)

    def test_paste_hides_what_lies_behind(self):
        scene = drawn_photo()
        front = scenes.Scene.empty(np.full((90, 120, 3), 200, np.uint8))
        mask = np.ones((90, 120), np.float32)
        still = np.array([[1.0, 0, 0], [0, 1, 0]])
        for left, kept, counted in ((100, 1, True), (36, 1, False), (0, 0, None)):
            window = (left, 0, 120, 90)
            found = scenes.paste(scene, front, still, mask, window)
            self.assertEqual(len(found.boxes), kept)
            if kept:
                self.assertEqual(bool(found.counted[0]), counted)
            self.assertEqual(found.image[5, 110].tolist(), [200] * 3)
        self.assertEqual(scene.image[5, 110].tolist(), [90] * 3)  # untouched

    def test_a_face_outside_the_window_is_cut_or_gone(self):
        blank = scenes.Scene.empty(np.zeros((90, 120, 3), np.uint8))
        mask = np.ones((90, 120), np.float32)
        for shift, expected in ((0, 60), (15, 75), (70, None)):
            moved = np.array([[1.0, 0, shift], [0, 1, 0]])
            window = (0, 0, 90, 90)
            found = scenes.paste(blank, drawn_photo(), moved, mask, window)
            if expected is None:
                self.assertEqual(len(found.boxes), 0)
            else:
                self.assertEqual(found.boxes[0, 2], min(expected, 90))
        self.assertEqual(found.image[:, 90:].max(), 0)


class SceneTest(testing.TestCase):
    def test_shares_add_up(self):
        with pytest.raises(ValueError, match="add up to at most 1.*0.5, 0.5, 0.1"):
            scenes.SceneSettings(mosaics=0.5, crowds=0.5, empty=0.1)

    def test_each_kind(self):
        photos = OnePhoto(drawn_photo())
        off = dict(mosaics=0.0, crowds=0.0, empty=0.0)
        counts = {}
        for kind in ("single", "mosaics", "crowds", "empty"):
            shares = off | ({} if kind == "single" else {kind: 1.0})
            settings = scenes.SceneSettings(size=128, **shares)
            made = [
                scenes.make_scene(photos, settings, np.random.default_rng(seed))
                for seed in range(6)
            ]
            counts[kind] = [len(scene.boxes) for scene in made]
            for scene in made:
                self.assertEqual(scene.image.shape, (128, 128, 3))
                self.assertEqual(scene.image.dtype, np.uint8)
                self.assertEqual(len(scene.counted), len(scene.boxes))
                self.assertTrue(np.all(scene.boxes >= 0))
                self.assertTrue(np.all(scene.boxes <= 128))
        self.assertEqual(max(counts["empty"]), 0)
        self.assertLessEqual(max(counts["single"]), 1)
        self.assertGreaterEqual(min(counts["mosaics"]), 4)
        self.assertGreater(max(counts["crowds"]), 2)

    def test_the_seed_decides(self):
        photos = OnePhoto(drawn_photo())
        settings = scenes.SceneSettings(size=96)
        one, same, other = (
            scenes.make_picture(photos, settings, np.random.default_rng(seed))
            for seed in (3, 3, 4)
        )
        np.testing.assert_array_equal(one.image, same.image)
        np.testing.assert_array_equal(one.boxes, same.boxes)
        self.assertTrue((one.image != other.image).any())

    def test_small_faces_are_not_counted(self):
        photos = OnePhoto(drawn_photo())
        shares = dict(mosaics=1.0, crowds=0.0, empty=0.0, occluders=0.0)
        random = np.random.default_rng
        all_of = scenes.SceneSettings(size=96, smallest=1.0, **shares)
        none_of = scenes.SceneSettings(size=96, smallest=200.0, **shares)
        self.assertTrue(scenes.make_picture(photos, all_of, random(0)).counted.any())
        self.assertFalse(scenes.make_picture(photos, none_of, random(0)).counted.any())

    def test_backgrounds_hold_no_face(self):
        photos = OnePhoto(drawn_photo())
        for seed in range(40):
            image = backgrounds.make_background(photos, 64, np.random.default_rng(seed))
            self.assertEqual(image.shape, (64, 64, 3))
        painted = backgrounds._painted_over(photos[0], np.random.default_rng(1))
        before = np.abs(photos[0].image[25:55, 35:55].astype(int) - 90).max()
        after = np.abs(painted[25:55, 35:55].astype(int) - 90).max()
        self.assertGreater(before, 150)
        self.assertLess(after, 80)
        texture = backgrounds.texture(48, np.random.default_rng(0))
        self.assertGreater(texture.std(), 5)

    def test_degrading(self):
        image = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
        changed = 0
        for seed in range(20):
            found = degrading.degrade(image, np.random.default_rng(seed))
            self.assertEqual((found.shape, found.dtype), (image.shape, np.uint8))
            changed += bool((found != image).any())
        self.assertGreater(changed, 12)

    def test_occluders_cover_a_part_of_the_face(self):
        image = np.full((90, 120, 3), 90, np.uint8)
        kept = degrading.occlude(image, BOX[None], 0.0, np.random.default_rng(0))
        np.testing.assert_array_equal(kept, image)
        for seed in range(6):
            random = np.random.default_rng(seed)
            found = degrading.occlude(image, BOX[None], 1.0, random)
            part = (found != image).any(axis=-1)[20:60, 30:60].mean()
            self.assertGreater(part, 0.01)
            self.assertLess(part, 0.7)
