"""Tests of `facedancer.video_swap.demo`."""

import av
import numpy as np
import skimage.data
from absl.testing import parameterized

from facedancer import cli
from facedancer.errors import InputError
from facedancer.video_swap import demo
from tests import testing


class DemoTest(testing.TestCase):
    def test_clip_has_frames_and_sound(self):
        path = self.tempdir() / "clip.mp4"
        demo.write_clip(path, skimage.data.astronaut(), seconds=0.4)
        with av.open(str(path)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        with av.open(str(path)) as container:
            sound = [f.to_ndarray() for f in container.decode(audio=0)]
        self.assertEqual(np.shape(frames), (10, demo.SIDE, demo.SIDE, 3))
        self.assertGreater(np.abs(frames[0].astype(int) - frames[-1]).mean(), 5)
        self.assertAlmostEqual(
            np.concatenate(sound, axis=1).shape[1] / demo.SAMPLE_RATE, 0.4, delta=0.05
        )

    def test_camera_starts_at_the_middle(self):
        image = np.zeros((400, 400, 3), np.uint8)
        image[182:202, 190:210] = 255  # 0.48 of the height
        view = demo.camera(image, 0.0)[..., 0]
        centre = np.argwhere(view > 128).mean(axis=0)
        self.assert_close(centre, np.array([239.5, 239.5]), atol=1.5)

    def test_sound_by_hand(self):
        wave = demo.sound(1.0)
        self.assertEqual(wave.shape, (1, demo.SAMPLE_RATE))
        self.assertBetween(np.abs(wave).max(), 0.3, 0.4)
        spectrum = np.abs(np.fft.rfft(wave[0, : demo.SAMPLE_RATE // 4]))
        self.assertEqual(spectrum.argmax() * 4, 220)

    def test_comparison_puts_the_source_left(self):
        path = self.tempdir() / "clip.mp4"
        demo.write_clip(path, skimage.data.astronaut(), seconds=0.2)
        source = np.full((100, 80, 3), 7, np.uint8)
        picture = demo.comparison(source, path, path, count=2)
        self.assertEqual(picture.shape, (960, 768 + 2 * 480, 3))
        self.assertEqual(picture[:, :760].max(), 7)
        np.testing.assert_array_equal(picture[:480, 768:], picture[480:, 768:])

    @parameterized.parameters("0", "61")
    def test_refuses_lengths(self, seconds):
        with self.assertRaisesRegex(InputError, "--seconds must lie in"):
            cli.parse(demo.DemoSettings, [f"--seconds={seconds}"])
