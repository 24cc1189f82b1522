"""Tests of `facedancer.face.alignment`."""

import numpy as np
from absl.testing import parameterized

from facedancer.face import alignment
from tests import testing


def umeyama(source, destination):
    """Independent formula: Umeyama 1991 by the singular value decomposition."""
    source_0, destination_0 = source - source.mean(0), destination - destination.mean(0)
    u, s, vt = np.linalg.svd(destination_0.T @ source_0 / len(source))
    sign = np.diag([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = (s * np.diag(sign)).sum() / source_0.var(0).sum()
    linear = scale * rotation
    return np.column_stack([linear, destination.mean(0) - linear @ source.mean(0)])


class AlignmentTest(testing.TestCase):
    def test_similarity_equals_umeyama(self):
        random = np.random.default_rng(0)
        for _ in range(20):
            source, destination = random.normal(size=(2, 5, 2)) * 50
            expected = umeyama(source, destination)
            self.assert_close(alignment.similarity(source, destination), expected)

    def test_similarity_by_hand(self):
        source = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        turned = np.array([[5.0, 7.0], [5.0, 9.0], [3.0, 7.0]])  # quarter turn, twice
        matrix = alignment.similarity(source, turned)
        self.assert_close(matrix, np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 7.0]]))
        back = alignment.apply(alignment.invert(matrix), turned)
        self.assert_close(back, source, atol=1e-9)

    def test_similarity_never_mirrors(self):
        source = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        matrix = alignment.similarity(source, source * [-1.0, 1.0])
        self.assertGreater(np.linalg.det(matrix[:, :2]), 0.0)

    @parameterized.parameters((np.zeros((5, 2)),), (np.full((5, 2), np.nan),))
    def test_similarity_refuses(self, points):
        with self.assertRaisesRegex(ValueError, "coincide or are not finite"):
            alignment.similarity(points, alignment.template(112))

    def test_template_of_arcface(self):
        self.assert_close(alignment.template(112)[0], np.array([38.2946, 51.6963]))
        half = alignment.template(256, shrink=0.5)[2]
        expected = (0.5 * np.array([56.0252, 71.7366]) + 28.0) * 256 / 112
        self.assert_close(half, expected)

    @parameterized.parameters(
        ({"name": "nobody"}, "Unknown template"),
        ({"shrink": 0.0}, r"in \(0, 1\]"),
        ({"shrink": 1.5}, r"in \(0, 1\]"),
    )
    def test_template_refuses(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            alignment.template(112, **options)

    @parameterized.parameters(0.31, 1.0, 4.0)
    def test_crop_shows_the_same_places(self, scale):
        """A ramp stays a ramp: value = place, also where the image is averaged."""
        height, width = int(300 * max(1, 1 / scale)), int(420 * max(1, 1 / scale))
        y, x = np.mgrid[:height, :width]
        image = np.stack([x * 255.0 / width, y * 255.0 / height, 0 * x], -1)
        image = np.rint(image).astype(np.uint8)
        matrix = np.array([[scale, 0.0, -40.0 * scale], [0.0, scale, -30.0 * scale]])
        crop = alignment.crop(image, matrix, 64)
        column = (np.arange(64) / scale + 40.0) * 255.0 / width
        row = (np.arange(64) / scale + 30.0) * 255.0 / height
        inside = (column < 250) & (row < 250)
        error = np.abs(crop[20, inside, 0] - column[inside])
        self.assertLess(error.max(), 1.5)
        self.assertLess(np.abs(crop[inside, 20, 1] - row[inside]).max(), 1.5)

    def test_crop_outside_is_black(self):
        image = np.full((30, 40, 3), 200, np.uint8)
        crop = alignment.crop(image, np.array([[1.0, 0, 50.0], [0, 1.0, 50.0]]), 40)
        self.assertEqual(crop.max(), 0)
