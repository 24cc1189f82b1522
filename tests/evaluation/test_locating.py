"""Tests of the choice of the face that is measured."""

import numpy as np

from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.face import alignment
from facedancer.face.faces import Faces
from tests import testing
from tests.evaluation import fixtures


class FixedDetector:
    """Finds the same two faces in every photo, the smaller one with a better score."""

    name = "fixed"

    def detect_batch(self, photos):
        points = alignment.template(20)
        boxes = np.float32([[0, 0, 20, 20], [60, 10, 110, 60]])
        landmarks = np.stack([points, 2.5 * points + [60, 10]])
        return [Faces(boxes, landmarks, np.float32([0.9, 0.6])) for _ in photos]


def photo(seed=0, dots=True):
    return Photo.of_pixels(f"{seed}", fixtures.draw_face(seed, dots=dots))


class LocatorTest(testing.TestCase):
    def test_largest_not_best(self):
        (face,) = Locator(FixedDetector(), Cache()).largest([photo()])
        self.assertEqual(face.box.tolist(), [60.0, 10.0, 110.0, 60.0])
        self.assertTrue(face.found)

    def test_nearest_to_the_target(self):
        locator = Locator(FixedDetector(), Cache())
        box, points = np.float32([2, 1, 22, 21]), alignment.template(20) + 1.5
        target = Face(photo(1), box, points)
        (face,) = locator.nearest([photo(2)], [target], keep=True)
        self.assertEqual(face.box.tolist(), [0.0, 0.0, 20.0, 20.0])
        far = Face(photo(1), box + 150, points + 150)
        (face,) = locator.nearest([photo(2)], [far], keep=True)
        self.assertFalse(face.found)
        self.assert_close(face.landmarks, points + 150)

    def test_aligned_crops(self):
        faceless = photo(dots=False)  # 180 x 150 pixels
        detector = fixtures.DotDetector()
        self.assertEqual(Locator(detector, Cache()).largest([faceless]), [None])
        (face,) = Locator(detector, Cache(), aligned=alignment.Alignment()).largest(
            [faceless]
        )
        self.assertFalse(face.found)
        self.assert_close(face.landmarks, alignment.template(150) + [15.0, 0.0])
        (seen,) = Locator(detector, Cache(), aligned=alignment.Alignment()).largest(
            [photo()]
        )
        self.assertTrue(seen.found)

    def test_results_are_kept_with_all_faces(self):
        folder = self.tempdir()
        cache = Cache(folder)
        first = Locator(FixedDetector(), cache).detect([photo()])
        cache.save()

        class Never(FixedDetector):
            def detect_batch(self, photos):
                raise AssertionError("searched again")

        (again,) = Locator(Never(), Cache(folder)).detect([photo()])
        self.assert_close(again.landmarks, first[0].landmarks)
        self.assertLen(again, 2)
        self.assertEqual(Locator(Never(), Cache()).detect([]), [])
