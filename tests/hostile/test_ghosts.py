"""Finds that are no faces: what detectors give, and what is swapped."""

import numpy as np
from absl.testing import parameterized

from facedancer.face import alignment, photo_search
from facedancer.face.faces import Faces
from facedancer.retinaface import Detector, DetectorOptions
from tests import testing
from tests.video_swap import made

# Left, top, side of the aligned crop; score. The last lies between two heads.
FINDS = ((10, 20, 60, 0.99), (52, 20, 60, 0.97), (31, 20, 60, 0.8))
SMALL_INSIDE = ((10, 20, 60, 0.7), (30, 45, 20, 0.6))


class Finds(Detector):
    """Finds what it is told in every picture."""

    name = "told"

    def __init__(self, finds, **options):
        super().__init__(DetectorOptions(working_size=0, **options))
        self.finds = finds

    def _search(self, batch, min_side):
        points = np.array([alignment.template(f[2]) + f[:2] for f in self.finds])
        boxes = [(f[0], f[1], f[0] + f[2], f[1] + f[2]) for f in self.finds]
        return [Faces(boxes, points, [f[3] for f in self.finds]) for _ in batch]


class GhostTest(testing.TestCase):
    @parameterized.parameters((FINDS, [0.99, 0.97]), (SMALL_INSIDE, [0.7]))
    def test_of_finds_that_overlap_the_surer_stay(self, finds, kept):
        photo = made.background(180, 120)
        found = Finds(finds).detect(photo)
        self.assert_close(found.scores, np.array(kept))
        self.assertLen(Finds(finds, drop_ghosts=False).detect(photo), len(finds))
        (found,) = photo_search.search_photos(Finds(finds), [photo])
        self.assertLen(found, len(kept))

    def test_a_ghost_is_not_swapped(self):
        photo = made.background(180, 120)
        for finds, drop, swapped in ((FINDS, True, 2), (FINDS, False, 3)):
            detector = Finds(finds, drop_ghosts=drop)
            result = made.make_swapper(detector=detector).swap_frame(photo)
            self.assertEqual(result.rules, [0] * swapped)
        alone = made.make_swapper(detector=Finds(FINDS[:2])).swap_frame(photo)
        kept = made.make_swapper(detector=Finds(FINDS)).swap_frame(photo)
        np.testing.assert_array_equal(kept.image, alone.image)
