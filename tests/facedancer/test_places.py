"""Tests of `facedancer.places`."""

import dataclasses
import functools

from facedancer import places
from facedancer.errors import InputError
from tests import testing


class PlacesTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        for name in ("photo.png", "photos/a.jpg", "photos/old.csv", "other.png"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(b"x")
        (self.folder / "link.png").symlink_to(self.folder / "photo.png")

    def check(self, output, report="", **inputs):
        given = {
            name: tuple(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in inputs.items()
        }
        fields = [*given, "output", "report"]
        record = dataclasses.make_dataclass("Settings", fields)
        settings = record(**given, output=str(output), report=str(report))
        places.check_places(settings, {"output": output, "report": report})

    def test_inputs_are_not_overwritten(self):
        photo = self.folder / "photo.png"
        for output in (photo, self.folder / "photos" / ".." / "photo.png"):
            with self.assertRaisesRegex(InputError, "must not be the input itself"):
                self.check(output, img_path=photo)
        with self.assertRaisesRegex(InputError, "--output must not be --swap_source"):
            self.check(photo, swap_source=[self.folder / "other.png", photo])
        with self.assertRaisesRegex(InputError, "--report must not be --map"):
            self.check("new.png", photo, map=[f"{self.folder / 'other.png'}={photo}"])
        with self.assertRaisesRegex(InputError, "--output must not be --swap_source"):
            self.check(self.folder / "link.png", swap_source=[photo])

    def test_images_of_an_input_folder_are_not_overwritten(self):
        photos = self.folder / "photos"
        with self.assertRaisesRegex(InputError, "an image of the folder --data_dir"):
            self.check(photos / "a.jpg", data_dir=photos)
        self.check(photos / "old.csv", data_dir=photos)
        self.check(photos / "new.jpg", data_dir=photos)
        self.check(self.folder / "other.png", data_dir=photos)

    def test_two_outputs_are_two_files(self):
        with self.assertRaisesRegex(InputError, "--output and --report must be two"):
            self.check(self.folder / "new.png", self.folder / "photos/../new.png")
        self.check(self.folder / "new.png", self.folder / "new.json")

    def test_folders(self):
        photos, record = self.folder / "photos", dataclasses.make_dataclass("S", ["a"])
        check = functools.partial(places.check_folder, record(str(photos)), "out")
        with self.assertRaisesRegex(InputError, "--out must not be the folder --a, "):
            check(self.folder / "photos" / ".." / "photos")
        with self.assertRaisesRegex(InputError, "--out: .* is a file; give a folder"):
            check(self.folder / "photo.png")
        self.assertEqual(check(str(photos / "new"), ["x"]), photos / "new")
        settings = record(str(photos / "old.csv"))
        places.check_folder(settings, "out", photos, ["new.csv"])
        with self.assertRaisesRegex(InputError, "--out must not be --a, which would"):
            places.check_folder(settings, "out", photos, ["old.csv"])

    def test_places_that_cannot_be_written(self):
        for place in (self.folder, self.folder / "photo.png" / "x.png"):
            with self.assertRaisesRegex(InputError, "must be a file in a folder"):
                self.check(place)
