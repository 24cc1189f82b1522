"""Tests of measures on clips and of look-alikes."""

from unittest import mock

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation.inputs.cache import Cache
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.photos import Photo
from facedancer.evaluation.measuring import clips, figures, measure, studies
from tests import testing
from tests.evaluation import fixtures
from tests.evaluation.test_protocol import tiny_judge


class ClipTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.judge = tiny_judge()
        self.locator = Locator(fixtures.DotDetector(), Cache())

    def measure(self, target, swapped, source=None):
        made = clips.measure(
            zip(target, swapped, strict=True), self.locator, self.judge, source
        )
        return made, {f.key: f.estimate for f in clips.figures(made, "judge")}

    def test_still_clip(self):
        still = [fixtures.draw_face(0)] * 5
        made, found = self.measure(still, still)
        self.assertEqual(found["video_flicker"].value, 0.0)
        self.assertEqual(found["video_flicker"].count, 4)
        self.assertAlmostEqual(found["video_identity_spread"].value, 0.0, places=5)
        self.assertEqual(found["video_unchanged"].value, 100.0)
        self.assertNotIn("video_reverted", found)

    def test_flickering_and_reverted_frames(self):
        target = [fixtures.draw_face(0)] * 6
        bright = np.clip(fixtures.draw_face(1).astype(int) + 9, 0, 255).astype(np.uint8)
        other = [fixtures.draw_face(1), bright] * 2 + target[:2]
        face = self.locator.largest([Photo.of_pixels("s", fixtures.draw_face(1))])[0]
        vector = self.judge.run(self.judge.cut(face.photo.read(), face)[None])[0]
        made, found = self.measure(target, other, vector)
        self.assertAlmostEqual(made.swapped_flicker[0], 8.0, delta=2.0)
        self.assertAlmostEqual(found["video_reverted"].value, 100 * 2 / 6, places=4)
        self.assertEqual(found["video_flicker_target"].value, 0.0)

    def test_frames_without_a_face_are_left_out(self):
        face, none = fixtures.draw_face(0), fixtures.draw_face(0, dots=False)
        made, found = self.measure([face, none, face], [face, none, none])
        self.assertEqual(found["video_found"].count, 2)
        self.assertEqual(found["video_found"].value, 50.0)
        with self.assertRaisesRegex(InputError, "never|shows no face"):
            self.measure([none], [none])

    def test_videos_of_different_length(self):
        folder = testing.shared("faces", "video")
        both = clips.read_both(
            folder / "dfl_obama_speaking.mp4", folder / "dfl_obama_speaking.mp4"
        )
        first, again = next(both)
        np.testing.assert_array_equal(first, again)
        with self.assertRaisesRegex(InputError, "must have the same size"):
            next(
                clips.read_both(
                    folder / "dfl_obama_speaking.mp4", folder / "bbaf2n.mpg"
                )
            )


class LookAlikeTest(testing.TestCase):
    def test_overlap(self):
        a = np.array([[1, 2, 3], [4, 5, 6]])
        b = np.array([[3, 9, 1], [7, 8, 9]])
        self.assert_close(studies.overlap(a, b), np.array([2 / 3, 0.0]))

    def test_source_itself_shares_all_look_alikes(self):
        random = np.random.default_rng(0)
        vectors = {r: random.normal(size=(12, 8)) for r in ("source", "target")}
        vectors["swapped"] = vectors["source"]
        measured = mock.Mock(
            vectors={"identity": vectors},
            names={"identity": "j"},
            spec=measure.Measured,
        )
        names = {r: np.array([f"{r}{i}" for i in range(12)]) for r in vectors}
        measured.labels = names.get
        measured.faces = {
            r: [mock.Mock(key=f"{r}{i}") for i in range(12)]
            for r in ("source", "target")
        }
        for swapped, expected in (("source", 100.0), ("target", None)):
            vectors["swapped"] = vectors[swapped]
            builder = figures.Builder(draws=20)
            studies.add_look_alikes(builder, measured)
            found = [figure.estimate.value for figure in builder.figures]
            if expected is None:
                self.assertLess(found[1], 60.0)
            else:
                self.assertEqual(found, [expected, expected])
