"""Tests of `facedancer.face.photo_search`."""

import dataclasses

import numpy as np
from absl.testing import parameterized

from facedancer.face import photo_search
from facedancer.face.faces import rescale
from facedancer.retinaface.detector import DetectorOptions, scaled
from tests import testing
from tests.video_swap import made


class FarDetector(made.SquareDetector):
    """Looks at photos made smaller, in which it sees no small squares."""

    def __init__(self, working_size=200):
        self.options = DetectorOptions(working_size=working_size)
        self.calls = 0

    def _search(self, image):
        self.calls += 1
        size, scale = image.shape[:2], self.options.working_size / max(image.shape[:2])
        small = scaled(image, scale) if 0 < scale < 1 else image
        return rescale(super()._search(small), small.shape[:2], size)


class PhotoSearchTest(testing.TestCase):
    def search(self, detector, *photos):
        return photo_search.search_photos(detector, photos)

    @parameterized.parameters(0, 500, 1950)
    def test_small_face_of_a_panorama(self, left):
        square = (made.RED, left, 100, 50)
        photo = made.scene(square, (made.GREEN, 1000, 20, 150), size_wh=(2000, 300))
        detector = FarDetector()
        self.assertLen(detector.detect(photo), 1)  # 50 pixels are 5 to it
        faces = self.search(detector, photo)[0]
        self.assertLen(faces, 2)
        box = faces.boxes[np.argmin(faces.sides)]
        self.assert_close(box, np.array([left, 100, left + 49, 149.0]), atol=3.0)

    def test_empty_large_photo_is_searched_in_parts(self):
        photo = made.scene((made.RED, 430, 280, 34), size_wh=(600, 400))
        detector = FarDetector()
        self.assertLen(detector.detect(photo), 1)
        photo = made.scene((made.RED, 430, 280, 28), size_wh=(600, 400))
        self.assertEmpty(detector.detect(photo))
        faces = self.search(detector, photo)[0]
        self.assert_close(faces.boxes, np.array([[430, 280, 457, 307.0]]), atol=2.5)

    def test_a_face_on_the_border_of_parts_is_one_face(self):
        for left in range(80, 340, 13):
            photo = made.scene((made.RED, left, 200, 28), size_wh=(600, 400))
            self.assertLen(self.search(FarDetector(), photo)[0], 1, left)

    def test_ordinary_photos_are_searched_once(self):
        with_face = made.scene((made.RED, 100, 100, 90), size_wh=(600, 400))
        small = made.scene(size_wh=(190, 120))
        for photo in (with_face, small):
            detector = FarDetector()
            self.search(detector, photo)
            self.assertEqual(detector.calls, 1)
        detector = FarDetector(0)  # searches at full size anyway
        self.search(detector, made.scene(size_wh=(600, 200)))
        self.assertEqual(detector.calls, 1)

    def test_several_photos_and_a_detector_without_options(self):
        photos = [made.scene((made.RED, 20, 20, 40)), made.scene()]
        found = self.search(made.SquareDetector(), *photos)
        self.assertEqual([len(faces) for faces in found], [1, 0])
        self.assertEqual(found[0].scores.dtype, np.float32)
        self.assertTrue(dataclasses.is_dataclass(found[1]))

    @parameterized.parameters(((300, 2000), 300), ((400, 600), 300), ((50, 40), 60))
    def test_parts_cover_all_and_overlap(self, size, side):
        covered = np.zeros(size, int)
        for left, top, right, bottom in photo_search.parts(size, side):
            self.assertLessEqual(max(right - left, bottom - top), side)
            covered[top:bottom, left:right] += 1
        self.assertGreaterEqual(covered.min(), 1)
        found = list(photo_search.parts(size, side))
        for one, other in zip(found, found[1:], strict=False):
            if one[1] == other[1]:
                self.assertGreaterEqual(one[2] - other[0], 0.39 * side)
