"""Tests of `facedancer.video_swap.swap_image`, with networks that paint squares."""

import os
from unittest import mock

import numpy as np
from absl.testing import parameterized
from PIL import Image

from facedancer import cli
from facedancer.errors import InputError
from facedancer.face.faces import Faces
from facedancer.imaging import images
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.video_swap import swap_image
from facedancer.video_swap.swapping import networks
from tests import testing
from tests.hostile import images as hostile
from tests.video_swap import made


class SwapImageTest(testing.TestCase):
    """What `swap_image` makes of photos that are no plain JPEG."""

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        home = mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "c")})
        home.start()
        self.addCleanup(home.stop)
        loaded = networks.Networks(
            made.named(made.colour_engine),
            SwapContract(InputContract(64, "signed"), IdentityInput(size=3)),
            made.SquareDetector(),
            made.ColourEmbedder(),
            {"generator": "colours"},
        )
        load = mock.patch.object(networks, "load_networks", return_value=loaded)
        self.loads = load.start()
        self.addCleanup(load.stop)
        self.me = images.write_image(
            self.folder / "me.png", made.scene((made.BLUE, 30, 20, 50))
        )

    def run_program(self, **values):
        values = {"swap_source": self.me} | values
        words = [f"--{name}={value}" for name, value in values.items()]
        with mock.patch("builtins.print") as printed:
            status = swap_image.main(cli.parse(swap_image.ImageSettings, words))
        return status, [str(call.args[0]) for call in printed.call_args_list]

    def write(self, name, image, **options):
        path = self.folder / name
        path.write_bytes(hostile.encoded(image, path.suffix[1:].upper(), **options))
        return path

    @parameterized.parameters(".png", ".webp", ".jpg")
    def test_alpha(self, ending):
        colours = made.scene((made.RED, 20, 20, 40))
        colours[:, 90:] = (10, 250, 20)  # would be a face, but nothing of it shows
        alpha = np.full(colours.shape[:2], 255, np.uint8)
        alpha[:, 90:] = 0
        photo = self.write("photo.png", np.dstack([colours, alpha]))
        output = self.folder / f"o{ending}"
        status, lines = self.run_program(img_path=photo, output=output)
        self.assertEqual(status, 0)
        self.assertIn("1 of 1 faces swapped", " ".join(lines))
        result = images.read_photo(output)
        self.assertLess(np.abs(result.pixels[:, 95:].astype(int) - 255).max(), 4)
        if ending != ".jpg":
            np.testing.assert_array_equal(result.alpha, alpha)
            with Image.open(output) as image:
                hidden = np.asarray(image.convert("RGBA"))[:, 95:, :3]
            self.assertLess(np.ptp(hidden.astype(int), axis=-1).max(), 60)

    def test_visible_label_on_nothing(self):
        colours = made.scene((made.RED, 20, 20, 40), size_wh=(300, 200))
        alpha = np.zeros((200, 300), np.uint8)
        alpha[:100] = 255
        photo = self.write("photo.png", np.dstack([colours, alpha]))
        output = self.folder / "o.png"
        self.run_program(img_path=photo, output=output, visible_label="true")
        result = images.read_photo(output)
        self.assertGreater((result.alpha[150:] == 255).sum(), 100)
        self.assertLess(result.pixels[150:].min(), 60)

    @parameterized.parameters(".png", ".jpg")
    def test_profile(self, ending):
        scene = made.scene((made.BLUE, 20, 20, 40))  # is red in its own profile
        profile = hostile.icc_profile(swapped=True)
        photo = self.write("photo.png", scene, icc_profile=profile)
        output = self.folder / f"o{ending}"
        seen = []

        def search(tool, image):
            seen.append(image[40, 40].astype(int))
            return Faces.empty() if len(seen) > 1 else faces

        faces = made.SquareDetector().detect(made.scene((made.BLUE, 30, 20, 50)))
        with mock.patch.object(made.SquareDetector, "_search", search):
            with self.assertRaisesRegex(InputError, "0 faces"):
                self.run_program(img_path=photo, output=output)
        self.assertLess(np.abs(seen[1] - np.array(made.BLUE[::-1])).max(), 8)
        self.run_program(img_path=photo, output=output)
        result = images.read_photo(output)
        self.assertTrue(result.tagged)
        # The background stays as it is meant to be seen.
        grey = images.read_image(photo)[90, 150].astype(int)
        self.assertLess(np.abs(result.pixels[90, 150].astype(int) - grey).max(), 6)

    @parameterized.parameters("img_path", "swap_source", "map", "report")
    def test_nothing_is_overwritten(self, name):
        photo = self.write("photo.png", made.scene((made.RED, 20, 20, 40)))
        other = self.folder / "me.png"
        values = {"img_path": photo, "output": other} | {
            "img_path": {"output": photo},
            "swap_source": {},
            "map": {"map": f"{photo}={other}"},
            "report": {"output": self.folder / "o.png", "report": other},
        }[name]
        before = photo.read_bytes(), other.read_bytes()
        with self.assertRaisesRegex(InputError, "must not be"):
            self.run_program(**values)
        self.loads.assert_not_called()
        self.assertEqual((photo.read_bytes(), other.read_bytes()), before)

    @parameterized.parameters("img_path", "swap_source", "map")
    def test_max_pixels(self, name):
        large = self.write("large.png", made.scene(size_wh=(400, 101)))
        photo = self.write("photo.png", made.scene((made.RED, 20, 20, 40)))
        values = {"img_path": photo, "output": self.folder / "o.png"}
        values[name] = f"{large}={photo}" if name == "map" else large
        with self.assertRaisesRegex(InputError, "large.png: 400x101 .* limit of 40000"):
            self.run_program(max_pixels=40_000, **values)

    def test_output_that_cannot_hold_the_photo(self):
        photo = self.write("photo.png", np.zeros((20, 16_400, 3), np.uint8))
        with self.assertRaisesRegex(InputError, "at most 16383 pixels .* 16400x20"):
            self.run_program(img_path=photo, output=self.folder / "o.webp")

    def test_source_face(self):
        photo = self.write("photo.png", made.scene((made.RED, 20, 20, 40)))
        both = made.scene((made.RED, 0, 25, 44), (made.GREEN, 60, 28, 40))
        source = self.write("both.png", both)
        output = self.folder / "o.png"
        with self.assertLogs("absl", "WARNING") as logged:
            self.run_program(img_path=photo, swap_source=source, output=output)
        self.assertIn("number 2 from the left was taken", " ".join(logged.output))
        with self.assertRaisesRegex(InputError, "a number from 1 to 2 here"):
            self.run_program(
                img_path=photo,
                swap_source=source,
                output=output,
                source_face="3",
            )
        self.loads.reset_mock()
        with self.assertRaisesRegex(InputError, "--source_face must be one of"):
            self.run_program(img_path=photo, output=output, source_face="tallest")
        self.loads.assert_not_called()
