"""Tests of facedancer.video_swap.benchmark: its clip, and that each stage is timed."""

from unittest import mock

from absl.testing import parameterized

from facedancer import testing
from facedancer.video_swap import benchmark
from tests.video_swap import made


class BenchmarkTest(testing.TestCase):
    def test_table(self):
        swapper = made.make_swapper()
        settings = benchmark.BenchmarkSettings(sizes=("480p",), faces=(1, 4), frames=2)
        swapper.engine = mock.Mock(
            side_effect=made.named(made.copying_engine), precision="f32"
        )
        swapper.engine.name = "copying"
        with (
            mock.patch.object(benchmark, "make_swapper", lambda s: (swapper, 0.5)),
            mock.patch("builtins.print") as printed,
        ):
            self.assertEqual(benchmark.main(settings), 0)
        lines = [call.args[0] for call in printed.call_args_list]
        self.assertEqual(lines[0], "Engine copying f32, ready in 0.5 s")
        self.assertLen(lines, 5)
        cells = [cell.strip() for cell in lines[3].strip("|").split("|")]
        self.assertEqual(cells[:2], ["480p", "1"])
        self.assertLen(cells, 10)
        self.assertGreater(float(cells[-1]), 0.0)

    def test_frames_hold_the_faces(self):
        one, four = (benchmark.make_frames("480p", n, 2) for n in (1, 4))
        self.assertEqual(one[0].shape, (480, 854, 3))
        self.assertGreater((four[0][250:] != 110).mean(), 0.3)
        self.assertNotEqual(one[0].tobytes(), one[1].tobytes())

    @parameterized.parameters(
        ({"sizes": ("8k",)}, "`sizes` must be one of 480p"),
        ({"faces": (9,)}, "`faces` must lie in"),
    )
    def test_wrong_settings(self, values, words):
        with self.assertRaisesRegex(ValueError, words):
            benchmark.BenchmarkSettings(**values)
