"""Tests of what the settings of a training make of its parts."""

from absl.testing import parameterized

from facedancer import testing
from facedancer.errors import InputError
from facedancer.train import assembly
from facedancer.train.config import TrainConfig


class PairSettingsTest(testing.TestCase):
    def test_changes_of_the_photos(self):
        plain = assembly.pair_settings(TrainConfig("shards"), 64)
        self.assertFalse(plain.changes().any)
        self.assertEqual(plain.image_size, 64)
        config = TrainConfig(
            "shards", colour_match=0.5, affine="few_shot", motion_blur=0.25, cache_mb=9
        )
        settings = assembly.pair_settings(config, 64)
        changes = settings.changes()
        found = changes.colour_match, changes.affine, changes.motion_blur
        self.assertEqual(found, (0.5, "few_shot", 0.25))
        self.assertEqual(settings.cache_mb, 9)

    @parameterized.parameters(
        ({"affine": "x"}, "affine='x'"),
        ({"colour_match": 2.0}, "Received: 2.0"),
        ({"on_corrupt": "x"}, "on_corrupt='x'"),
    )
    def test_bad_values(self, options, words):
        with self.assertRaisesRegex(InputError, words):
            assembly.pair_settings(TrainConfig("shards", **options), 64)
