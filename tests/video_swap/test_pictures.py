"""Tests of facedancer.video_swap.media.pictures: GIF, WebP and folders of images."""

import pathlib
import weakref
from fractions import Fraction
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image

from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.video_swap.media import pictures
from tests import testing
from tests.video_swap import made


class PictureReaderTest(testing.TestCase):
    def write(self, name, count=6):
        """Writes an animation of 70 ms a frame."""
        path = self.tempdir() / name
        noise = np.random.default_rng(0).integers(0, 30, (count, 96, 160, 1), np.uint8)
        frames = [a + b for a, b in zip(made.moving_scenes(count), noise, strict=True)]
        pictures.write_animation(path, [(frame, 70) for frame in frames])
        return path

    @parameterized.product(
        name=("a.gif", "a.webp"), damage=("cut off", "zeros", "cut in a length")
    )
    def test_damaged_animation_is_read_up_to_the_damage(self, name, damage):
        path = self.write(name)
        whole = [frame.image for frame in pictures.PictureReader(path)]
        data = path.read_bytes()
        place = len(data) * 2 // 3
        if damage == "zeros":
            data = data[:place] + bytes(len(data) - place)
        elif damage == "cut off":
            data = data[:place]
        else:  # inside the bytes that say how long something is
            mark = b"ANMF" if name == "a.webp" else b"\x21\xf9\x04"
            data = data[: data.rindex(mark, 0, place) + 4]
        path.write_bytes(data)
        reader = pictures.PictureReader(path)
        for _ in range(2):  # the second reading must not add to the first
            found = list(reader)
            self.assertBetween(len(found), 2, 4)
            end = Fraction(7 * len(found), 100)
            self.assertEqual(reader.damage, [(end, end)])
            for frame, image in zip(found[:-1], whole, strict=False):
                np.testing.assert_array_equal(frame.image, image)
        self.assertEqual(
            reader.notes,
            [f"{name}: damaged after {float(end):.2f} s, the rest is left out"],
        )

    @parameterized.parameters("a.gif", "a.webp")
    def test_whole_animation_has_no_damage(self, name):
        reader = pictures.PictureReader(self.write(name))
        self.assertLen(list(reader), 6)
        self.assertEqual((reader.damage, reader.notes), ([], []))

    @parameterized.parameters("a.gif", "a.webp")
    def test_damage_before_the_first_image_is_refused(self, name):
        path = self.write(name)
        path.write_bytes(path.read_bytes()[:70])
        with self.assertRaisesRegex(InputError, f"{name}: damaged image"):
            pictures.PictureReader(path)

    def test_part_without_a_frame_is_refused(self):
        path = self.write("a.gif")
        for part, words in (
            ({"start": 100}, r"--start=100 lies after the last frame .0\.35 s."),
            ({"start": 0.01, "length": 0.02}, "no frame begins in the 0.02 s after "),
        ):
            with self.assertRaisesRegex(InputError, words):
                list(pictures.PictureReader(path, **part))

    def test_images_of_two_sizes_are_refused(self):
        folder = self.tempdir() / "in"
        images.write_image(folder / "a.png", made.scene())
        images.write_image(folder / "b.png", made.scene(size_wh=(90, 50)))
        with self.assertRaisesRegex(
            InputError, "must all have the same size, here 160x96"
        ):
            list(pictures.PictureReader(folder))

    def test_frames_of_a_folder_know_their_files(self):
        folder = self.tempdir() / "in"
        for i, image in enumerate(made.moving_scenes(12)):
            images.write_image(folder / f"{i:02d}.png", image)
        reader = pictures.PictureReader(folder, start=0.2, length=0.2, every=2)
        names = [frame.source.name for frame in reader]
        self.assertEqual(names, ["05.png", "07.png", "09.png"])

    def test_animation_that_cannot_be_written(self):
        path = self.tempdir() / "none" / ".tmp-12-a.gif"
        with self.assertRaisesRegex(InputError, "none/a.gif: cannot be written"):
            pictures.write_animation(path, [(made.scene(), 40)])
        with self.assertRaisesRegex(InputError, "there is no frame to write"):
            pictures.write_animation(path, [])

    def test_images_of_a_gif_are_taken_one_by_one(self):
        path, seen, make = self.tempdir() / "a.gif", [], Image.fromarray

        def remembers(image):
            picture = make(image)
            seen.append(weakref.ref(picture))
            self.assertLess(sum(one() is not None for one in seen), 4)
            return picture

        frames = [(image, 40) for image in made.moving_scenes(8)]
        with mock.patch.object(Image, "fromarray", remembers):
            pictures.write_animation(path, frames)
        self.assertLen(list(pictures.PictureReader(path)), 8)

    def test_what_names_mean(self):
        folder = self.tempdir()
        clip = folder / "clip"
        clip.write_bytes(b"a file without an ending")
        for path, expected in (
            (folder, True),
            (folder / "new", True),
            (folder / "new.GIF", True),
            (clip, False),
            (pathlib.Path("a.mp4"), False),
        ):
            self.assertEqual(pictures.is_picture(path), expected, path)
