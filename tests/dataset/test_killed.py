"""Each program is killed in the middle, started again, and compared byte for byte."""

import signal

import pytest

from facedancer.dataset import (
    crop_align,
    dataset_sharding,
    make_faces,
    triplet_sharding,
)
from facedancer.imaging import images
from tests import testing
from tests.dataset import fixtures
from tests.hostile import processes


class KilledTest(testing.TestCase):
    def check(self, module, words, pattern, kill_at):
        """Kills a run once `kill_at` files match, again a little later, then lets go.

        Args:
            module: The program.
            words: Its flags without the target folder.
            pattern: Of the files it writes.
            kill_at: How many of them must be there at each kill.
        """
        undisturbed, killed = self.tempdir() / "a", self.tempdir() / "b"

        def start(folder):
            return processes.start(module, *words, f"--target_dir={folder}")

        self.assertEqual(processes.wait(start(undisturbed)).status, 0)
        total = len(list(undisturbed.rglob(pattern)))
        in_the_middle = 0
        for count in kill_at:
            ended = processes.end_when(
                start(killed),
                lambda count=count: len(list(killed.rglob(pattern))) >= count,
            )
            done = len(list(killed.rglob(pattern)))
            # on a busy machine a run may end before the signal arrives
            in_the_middle += ended.status == -signal.SIGKILL and done < total
        self.assertGreater(in_the_middle, 0, "every run was too quick")
        self.assertEqual(processes.wait(start(killed)).status, 0)
        self.assertEqual(processes.content(killed), processes.content(undisturbed))

    @pytest.mark.large
    def test_crop_align(self):
        data = self.tempdir()
        for number in range(96):
            image = fixtures.photo(number, boxes=())
            images.write_image(data / f"p{number % 7}/{number}.jpg", image)
        faces = make_faces.MadeSettings(str(data / "made"), 8, 4, 160)
        make_faces.write_faces(faces)
        words = [f"--data_dir={data}", "--im_size=64", "--num_workers=1"]
        self.check(crop_align, words, "*.jpg", (5, 20))

    def test_dataset_sharding(self):
        data = self.tempdir()
        for number in range(400):
            fixtures.write_photos(data, {f"p{number}": 1}, size=(120, 120), boxes=())
        words = [f"--data_dir={data}", "--data_name=set", "--num_shards=200"]
        self.check(dataset_sharding, words, "*.records", (20, 90))

    @pytest.mark.slow
    def test_triplet_sharding(self):
        data = self.tempdir()
        for number in range(400):
            for role in ("original", "edited"):
                path = data / f"grin/{number}.{role}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(fixtures.coded(number % 256, (90, 90)))
        words = [f"--data_dir={data}", "--num_shards=200"]
        self.check(triplet_sharding, words, "*.records", (20, 90))

    @pytest.mark.slow
    def test_make_faces(self):
        words = ["--num_identities=12", "--num_images=1", "--image_size=32"]
        self.check(make_faces, words, "*.jpg", (2, 6))
