"""The training program's flags for tiny networks, and a folder to run it in."""

import os
import pathlib
import tempfile

from facedancer import cli
from facedancer.train.config import TrainConfig
from tests.train import tiny

TINY = (
    "--preset=facedancer_lite_64",
    "--image_size=16",
    "--up_types=no_skip,affa,concat",
    "--mapping_depth=1",
    "--mapping_size=8",
    "--perceptual=encoder",
    "--batch_size=4",
    "--log_every=1",
    "--eval_pairs=4",
)
SMALL = (*TINY, "--ifsr_blocks=stage2_block1_out", "--ifsr_margin=0.1")


def settings(*words):
    return cli.parse(TrainConfig, list(words))


class ProgramTestCase(tiny.EagerTestCase):
    """Has an encoder and shards, and works in an empty folder."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.encoder = tiny.write_encoder(folder)
        cls.pattern = tiny.write_shards(folder)

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def words(self, *more):
        return (
            *SMALL,
            f"--data_dir={self.pattern}",
            f"--arcface_path={self.encoder}",
            f"--log_dir={self.folder / 'runs'}",
            *more,
        )
