"""Tests of what the settings of a training make of its parts."""

from absl.testing import parameterized

from facedancer import cli
from facedancer.train import assembly
from facedancer.train.config import DataSettings, TrainConfig
from tests import testing


class PairSettingsTest(testing.TestCase):
    def test_changes_of_the_photos(self):
        plain = assembly.pair_settings(TrainConfig(DataSettings("shards")), 64)
        self.assertFalse(plain.changes().any)
        self.assertEqual(plain.image_size, 64)
        data = DataSettings(
            "shards", colour_match=0.5, affine="few_shot", motion_blur=0.25, cache_mb=9
        )
        settings = assembly.pair_settings(TrainConfig(data), 64)
        changes = settings.changes()
        found = changes.colour_match, changes.affine, changes.motion_blur
        self.assertEqual(found, (0.5, "few_shot", 0.25))
        self.assertEqual(settings.cache_mb, 9)

    def test_settings_and_recipe_reach_the_reader(self):
        words = ("--data_dir=shards", "--batch_size=7", "--seed=3", "--noshuffle")
        words += ("--same_ratio=0.5", "--flip", "--jitter=none", "--on_corrupt=stop")
        settings = assembly.pair_settings(cli.parse(TrainConfig, list(words)), 64)
        found = settings.batch_size, settings.seed, settings.shuffle, settings.flip
        self.assertEqual(found, (7, 3, False, True))
        found = settings.same_ratio, settings.jitter, settings.on_corrupt
        self.assertEqual(found, (0.5, "none", "stop"))

    @parameterized.parameters(
        ({"affine": "x"}, "`affine` must be one of none, faceswap_gan"),
        ({"colour_match": 2.0}, r"must lie in \[0, 1\]. Received: 2.0"),
        ({"on_corrupt": "x"}, "`on_corrupt` must be one of stop, skip"),
    )
    def test_bad_values(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            DataSettings("shards", **options)
