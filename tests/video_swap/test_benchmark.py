"""Tests of the benchmark: its clip, that each stage is timed, and the table."""

from unittest import mock

import numpy as np
from absl.testing import parameterized

from facedancer.video_swap import benchmark
from facedancer.video_swap.benchmark_settings import BenchmarkSettings
from facedancer.video_swap.clips import speed
from facedancer.video_swap.pixels.picture import Rgb
from tests import testing
from tests.video_swap import made


class BenchmarkTest(testing.TestCase):
    def test_table(self):
        swapper = made.make_swapper()
        settings = BenchmarkSettings(sizes=("480p",), faces=(1, 4), frames=2)
        swapper.engine = mock.Mock(
            side_effect=made.named(made.copying_engine), precision="f32"
        )
        swapper.engine.name = "copying"
        with (
            mock.patch.object(speed, "make_swapper", lambda s: (swapper, 0.5)),
            mock.patch("builtins.print") as printed,
        ):
            self.assertEqual(benchmark.main(settings), 0)
        lines = [call.args[0] for call in printed.call_args_list]
        self.assertEqual(lines[0], "Engine copying f32, ready in 0.5 s")
        self.assertLen(lines, 5)
        rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines[1:]]
        self.assertEqual(rows[2][:2], ["480p", "1"])
        named = dict(zip(rows[0], rows[2], strict=True))
        for name in ("decode ms", "encode ms", "cold s", "floor", "whole", "CPU ms"):
            self.assertGreater(float(named[name]), 0.0, name)
        # All cores busy to the end is 1; nothing can be quicker than its work.
        self.assertGreater(float(named["near"]), 0.7)

    def test_the_packaged_networks_are_measured(self):
        swapper, ready = speed.make_swapper(BenchmarkSettings())
        self.assertEqual(swapper.engine.name, "openvino")
        self.assertGreater(ready, 0.0)
        frames = speed.make_frames("480p", 1, 1)
        self.assertLen(swapper.detect([Rgb(frames[0])])[0], 1)
        self.assertGreater(
            np.abs(swapper.swap_frame(frames[0]).image.astype(int) - frames[0]).max(), 9
        )

    def test_frames_hold_the_faces(self):
        one, four = (speed.make_frames("480p", n, 2) for n in (1, 4))
        self.assertEqual(one[0].shape, (480, 854, 3))
        self.assertGreater((four[0][250:] != 110).mean(), 0.3)
        self.assertNotEqual(one[0].tobytes(), one[1].tobytes())

    @parameterized.parameters(
        ({"sizes": ("8k",)}, "`sizes` must be one of 480p"),
        ({"faces": (9,)}, "`faces` must lie in"),
        ({"preset_name": "a", "facedancer_path": "b"}, "not both"),
    )
    def test_wrong_settings(self, values, words):
        with self.assertRaisesRegex(ValueError, words):
            BenchmarkSettings(**values)
