"""A clean folder in which a page's blocks run, with the files that it speaks of."""

from __future__ import annotations

import ast
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np

from facedancer.imaging import images, sample_photos
from facedancer.video_swap import demo
from tests import testing
from tests.docs.blocks import ROOT, Block

_PEOPLE = 14  # of LFW, with some photos each
_RECOGNITION = ("models", "recognition")
# What the reader brings, and where the test material has the like.
_BROUGHT = {
    "w600k_mbf.onnx": (*_RECOGNITION, "mobilefacenet_ms1m.onnx"),
    "judge.onnx": (*_RECOGNITION, "judge_512.onnx"),
    "teacher.npz": ("models", "detection", "retinaface_mobilenet025.npz"),
    "FaceDancer_config_c_HQ.h5": ("interop", "tf215", "gen_small_C.h5"),
}


class Stage:
    """A folder, and an environment in which the project's commands are known.

    The commands are those of `setup.py`, whether the checkout is installed or not.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.work, home, commands = folder / "work", folder / "home", folder / "bin"
        for made in (self.work, home, commands):
            made.mkdir()
        for name, place in _console_scripts():
            module, _, function = place.partition(":")
            script = f"#!{sys.executable}\nfrom {module} import {function}\n"
            (commands / name).write_text(f"{script}{function}()\n")
            (commands / name).chmod(0o755)
        paths = [commands, pathlib.Path(sys.executable).parent, os.environ["PATH"]]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        self.environment = kept | {
            "PATH": os.pathsep.join(map(str, paths)),
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
        }

    def run(self, block: Block) -> str:
        """Returns what a block wrote.

        Args:
            block: Of a page.

        Raises:
            SkipTest: If a file that it needs is not to be had here.
            AssertionError: If a command of it fails.
        """
        for name in block.brings:
            self._bring(name)
        code = block.shortened()
        words = ["bash", "-euo", "pipefail", "-c", code]
        if block.language == "python":
            words = [sys.executable, "-c", code]
        done = subprocess.run(
            words,
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        said = f"{block.place}\n{code}\n{done.stdout[-4000:]}"
        assert done.returncode == 0, f"status {done.returncode}: {said}"
        return done.stdout

    def _bring(self, name: str) -> None:
        if (self.work / name).exists():
            return
        if name == "photos/":
            self._photos()
        else:
            shutil.copy(testing.shared(*_BROUGHT[name]), self.work / name)

    def portraits(self) -> None:
        """Makes `me.jpg`, `anna.jpg`, `photo.jpg`, `group.jpg`, `clip.mp4` and so on.

        All show the two portraits in the package, which may be shown.
        """
        me, anna = sample_photos.read("hopper"), sample_photos.read("collins")
        group = np.concatenate([anna[:512], me[:512]], axis=1)
        pictures = {"me": me, "me_too": me[:, 8:], "anna": anna, "photo": anna}
        for name, image in (pictures | {"group": group}).items():
            images.write_image(self.work / f"{name}.jpg", image)
        demo.write_clip(self.work / "clip.mp4", anna, 0.6)

    def _photos(self) -> None:
        for person in _some_people():
            shutil.copytree(person, self.work / "photos" / person.name)


def _some_people() -> list[pathlib.Path]:
    people = sorted(testing.shared("faces", "lfw").iterdir())
    return [one for one in people if len(list(one.iterdir())) >= 3][:_PEOPLE]


def _console_scripts() -> list[tuple[str, str]]:
    """Returns name and place of the commands that an installation makes."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "console_scripts":
                    lines = [line.split("=") for line in ast.literal_eval(value)]
                    return [(name.strip(), place.strip()) for name, place in lines]
    raise ValueError("setup.py names no console scripts")
