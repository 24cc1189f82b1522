"""How much of an identity a swap takes."""

import numpy as np

from tests import testing
from tests.video_swap import made


class StrengthTest(testing.TestCase):
    def test_strength(self):
        seen = []

        def engine(targets, vectors):
            seen.append(vectors)
            return np.array(targets)

        frame = made.scene((made.RED, 10, 20, 40))
        for strength in (0.0, 0.5, 1.0):
            made.make_swapper(engine=engine, strength=strength).swap_frame(frame)
        red, blue = made.identity_of(made.RED), made.identity_of(made.BLUE)
        self.assert_close(seen[0][0], red, atol=3)
        self.assert_close(seen[2][0], blue)
        half = seen[1][0]
        cosines = [
            half @ v / np.linalg.norm(half) / np.linalg.norm(v) for v in (red, blue)
        ]
        self.assertAlmostEqual(cosines[0], cosines[1], delta=0.02)

    def test_extrapolation_goes_on_beyond_the_source(self):
        seen = []

        def engine(targets, vectors):
            seen.append(vectors[0])
            return np.array(targets)

        frame = made.scene((made.RED, 10, 20, 40))
        for strength in (1.0, 0.8):
            tool = made.make_swapper(
                engine=engine, extrapolation=0.25, strength=strength
            )
            tool.swap_frame(frame)
        red, blue = made.identity_of(made.RED), made.identity_of(made.BLUE)
        self.assert_close(seen[1], blue)  # .8 * 1.25 is the source itself
        target, source = (v / np.linalg.norm(v) for v in (red, blue))
        beyond = 1.25 * source - 0.25 * target
        expected = beyond / np.linalg.norm(beyond) * np.linalg.norm(blue)
        self.assert_close(seen[0], expected, atol=3)
        self.assertGreater(np.abs(seen[0] - blue).max(), 10)
