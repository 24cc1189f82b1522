"""Kills each long program at random moments, and looks at what is left.

    python -m tests.hostile.kills --programs=all --moments=15

By turns SIGKILL, SIGTERM and Ctrl-C. After the last two nothing may be left but
finished work, and the exit status says which it was. After SIGKILL the same command,
given again, must end as if nothing had happened: the same files, the same content, no
leftovers.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from unittest import mock

import av
import numpy as np

from facedancer import images, retinaface
from facedancer.arcface_model import build_mobilefacenet
from facedancer.evaluation import options
from facedancer.evaluation.instruments import judges
from facedancer.video_swap.swapping import networks
from tests.evaluation import fixtures as evaluation_fixtures
from tests.hostile import seeds
from tests.hostile.harness import (
    Limits,
    Outcome,
    Places,
    answer_of,
    broken_rules,
    program,
    run,
)
from tests.retinaface import test_train_detector
from tests.train import tiny
from tests.video_swap import made

LIMITS = Limits(seconds=240, megabytes=2000)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_EVENTS = "events.out.tfevents"
STATUS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


def digests(folder: pathlib.Path) -> dict[str, str]:
    """Returns a digest of each file below a folder by its path, temporary ones too.

    Args:
        folder: The folder.
    """
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def frames(folder: pathlib.Path) -> dict[str, object]:
    """Returns what clips show, for files that are signed anew in every run.

    Args:
        folder: With clips, images and what lies beside them.
    """

    def count(path):
        if path.name.startswith("."):
            return "hidden"
        if path.suffix in images.EXTENSIONS:
            return images.read_image(path).shape
        if path.suffix == ".mp4":
            with av.open(str(path)) as container:
                return sum(1 for _ in container.decode(video=0))
        return "" if path.is_dir() else path.stat().st_size > 0

    return {
        str(path.relative_to(folder)): count(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names(folder: pathlib.Path) -> list[str]:
    """Returns the names of the files below a folder, for content that differs by run.

    Args:
        folder: The folder.
    """
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    # TensorBoard's files are called after time and process, one for each start.
    kept = {_EVENTS if p.name.startswith(_EVENTS) else str(p) for p in found}
    return sorted(kept)


@dataclasses.dataclass(frozen=True)
class Program:
    """A program that is killed.

    Attributes:
        command: See `harness.program`.
        words: From the folders of inputs and output to its arguments.
        prepare: Fills the folder of inputs.
        look: What is compared after a run, see `digests`.
        goes_on: Whether finished parts stay where a run was told to end; else the
            output must be as empty as before.
        patch: A context in which it runs.
    """

    command: str
    words: Callable[[pathlib.Path, pathlib.Path], list[str]]
    prepare: Callable[[pathlib.Path], object]
    look: Callable[[pathlib.Path], object] = digests
    goes_on: bool = True
    patch: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext


def _detecting():
    return mock.patch.object(
        retinaface, "load_detector", lambda *args, **options: seeds.AnyDetector()
    )


def _swapping():
    return mock.patch.object(networks, "load_networks", seeds.loaded_networks)


def _photos(folder, count=60):
    for number in range(count):
        image = seeds.face(number % 20)
        seeds.write(folder / f"p{number % 4}" / f"{number}.png", image)


def _edits(folder, count=60):
    for number in range(count):
        for role in ("original", "edited"):
            image = seeds.face(number % 20)
            seeds.write(folder / "grin" / f"{number}.{role}.png", image)


def _clip(folder):
    pictures = [seeds.face(number) for number in range(20)]
    made.write_clip(folder / "clip.mp4", pictures)
    seeds.write(folder / "me.png", seeds.face(3))


def _swap_words(name, *more):
    return lambda source, out: [
        f"--vid_path={source / 'clip.mp4'}",
        f"--swap_source={source / 'me.png'}",
        f"--output={out / name}",
        "--segment_frames=4",
        *more,
    ]


def _training(folder):
    build_mobilefacenet(tiny.VECTOR, image_size=32, width=0.125).save(
        folder / "encoder.keras"
    )
    tiny.write_shards(folder)


def _train_words(source, out):
    return [
        f"--data_dir={source}/faces_train_*.records",
        f"--arcface_path={source}/encoder.keras",
        f"--log_dir={out}",
        "--log_name=run",
        "--steps=6",
        "--save_every=2",
        "--preset=facedancer_lite_64",
        "--image_size=16",
        "--up_types=no_skip,affa,concat",
        "--mapping_depth=1",
        "--mapping_size=8",
        "--perceptual=encoder",
        "--batch_size=4",
        "--log_every=1",
        "--eval_pairs=4",
    ]


def _students(folder):
    random = np.random.default_rng(0)
    for index in range(8):
        small = random.integers(0, 256, (28, 28, 3), np.uint8)
        path = folder / "faces" / f"p{index // 2}" / f"{index}.png"
        images.write_image(path, images.resize(small, 112))
    build_mobilefacenet(8, image_size=48, width=0.125).save(folder / "teacher.keras")


def _detector_words(source, out):
    return [
        *(f"--data_dir={source}", f"--labels={source}/labels.csv"),
        *(f"--output={out}/detector.keras", "--image_size=64", "--steps=4"),
        *("--batch_size=2", "--save_every=2", "--workers=1"),
    ]


@contextlib.contextmanager
def _judging():
    """Lets an evaluation find dots and judge by a tiny network."""
    judge = judges.KerasJudge(build_mobilefacenet(embedding_size=8, width=0.125))
    detector = evaluation_fixtures.DotDetector()
    with (
        mock.patch.object(options, "load_detector", lambda path: detector),
        mock.patch.object(judges, "load_judge", lambda *_: judge),
        mock.patch.object(options.weights, "available", lambda _: False),
    ):
        yield


_SWAP = "swap_video"
PROGRAMS = {
    "crop_align": Program(
        "crop_align",
        lambda source, out: [
            *(f"--data_dir={source}", f"--target_dir={out}"),
            *("--im_size=32", "--min_size=16"),
        ],
        _photos,
        patch=_detecting,
    ),
    "dataset_sharding": Program(
        "dataset_sharding",
        lambda source, out: [
            *(f"--data_dir={source}", f"--target_dir={out}", "--num_shards=40"),
        ],
        functools.partial(_photos, count=120),
    ),
    "triplet_sharding": Program(
        "triplet_sharding",
        lambda source, out: [
            *(f"--data_dir={source}", f"--target_dir={out}", "--num_shards=30"),
        ],
        _edits,
    ),
    "make_faces": Program(
        "make_faces",
        lambda source, out: [
            f"--target_dir={out}",
            *("--num_identities=6", "--num_images=1", "--image_size=32"),
        ],
        lambda folder: None,
    ),
    "swap_video": Program(
        _SWAP, _swap_words("o.mp4"), _clip, frames, goes_on=False, patch=_swapping
    ),
    "swap_video_resume": Program(
        _SWAP, _swap_words("o.mp4", "--resume"), _clip, frames, patch=_swapping
    ),
    "swap_to_folder": Program(
        _SWAP, _swap_words("o"), _clip, frames, goes_on=False, patch=_swapping
    ),
    "swap_image": Program(
        "swap_image",
        lambda source, out: [
            *(f"--img_path={source}/me.png", f"--swap_source={source}/me.png"),
            f"--output={out}/new/o.png",
        ],
        _clip,
        frames,
        goes_on=False,
        patch=_swapping,
    ),
    "convert": Program(
        "convert",
        lambda source, out: [f"{source}/gen.keras", f"{out}/made.keras"],
        lambda folder: made.tiny_generator().save(folder / "gen.keras"),
        names,
        goes_on=False,
    ),
    "train": Program("train", _train_words, _training, names, goes_on=True),
    "train_detector": Program(
        "train_detector", _detector_words, test_train_detector.write_photos, names
    ),
    "evaluate": Program(
        "evaluate",
        lambda source, out: [
            *(f"--data_dir={source}", f"--out={out}/report", "--swapper=copy"),
            *("--judge_path=judge.keras", "--pairs=12", "--draws=50", "--rounds=2"),
        ],
        lambda folder: evaluation_fixtures.write_people(folder, {0: 3, 1: 2, 2: 2}),
        names,
        patch=_judging,
    ),
    "distill_encoder": Program(
        "distill_encoder",
        lambda source, out: [
            *(f"--data_dir={source}/faces", f"--eval_dir={source}/faces"),
            *(f"--teacher={source}/teacher.keras", f"--output={out}/student.keras"),
            *("--steps=4", "--batch_size=2", "--eval_every=2"),
            *("--image_size=32", "--width=0.125"),
        ],
        _students,
        names,
    ),
}


@dataclasses.dataclass
class Kills:
    """What the kills of one program gave.

    Attributes:
        name: One of `PROGRAMS`.
        tried: Number of kills.
        hit: How many came before the program was at its end.
        faults: What was wrong, by the number of the kill.
        left_in_tmp: Of SIGKILL: how often something stayed in the folder for temporary
            files, which nobody can remove then.
    """

    name: str
    tried: int = 0
    hit: int = 0
    faults: dict[int, str] = dataclasses.field(default_factory=dict)
    left_in_tmp: int = 0

    def row(self) -> str:
        """Returns a row of the table."""
        return f"| {self.name} | {self.tried} | {self.hit} | {len(self.faults)} |"


class Killer:
    """Kills one program again and again.

    Args:
        name: One of `PROGRAMS`.
        root: An empty folder for all of it.
        limits: What a run may take.
    """

    def __init__(self, name: str, root: pathlib.Path, limits: Limits = LIMITS):
        self.program, self.root, self.limits = PROGRAMS[name], root, limits
        self.result = Kills(name)
        self.inputs = root / "inputs"
        self.inputs.mkdir()
        if answer_of(lambda: [self.program.prepare(self.inputs)] and True, 300) is None:
            raise RuntimeError(f"the inputs of {name} could not be made")
        self.places = Places(root / "whole").make()
        whole = self._run(self.places)
        if whole.status:
            raise RuntimeError(f"{name}: {whole.status} {whole.stderr[-2000:]}")
        self.seconds = whole.seconds
        self.expected = self._look(self.places)

    def _run(self, places, told=None) -> Outcome:
        words = self.program.words(self.inputs, places.output)

        def start():
            with self.program.patch():
                program(self.program.command, words)()

        return run(start, places, self.limits, told)

    def _look(self, places):
        return answer_of(lambda: self.program.look(places.output))

    def kill(self, number: int) -> None:
        """Kills it once and notes what was wrong.

        Args:
            number: Decides signal and moment.
        """
        random = np.random.default_rng([number, 5])
        which = SIGNALS[number % len(SIGNALS)]
        moment = float(random.uniform(0.02, 1.0)) * self.seconds
        places = Places(self.root / f"kill{number}").make()
        outcome = self._run(places, (moment, which))
        wrong = self._judge(outcome, which, places)
        self.result.tried += 1
        self.result.hit += outcome.status == STATUS[which]
        if wrong:
            at = f"{which.name} at {moment:.2f} of {self.seconds:.2f} s"
            self.result.faults[number] = f"{at}: {wrong}"
        shutil.rmtree(places.root)

    def _judge(self, outcome, which, places):
        """Returns what is wrong after a kill, and after a run that goes on."""
        if outcome.late:
            return "it did not end"
        early = which == signal.SIGTERM and outcome.status == -which
        if early and not any(places.output.iterdir()):
            outcome = dataclasses.replace(outcome, status=143)  # before it listened
        if outcome.status not in (0, STATUS[which]):
            return f"status {outcome.status}: {outcome.stderr[-300:]}"
        if "Traceback" in outcome.stderr:
            return f"trace: {outcome.stderr[-600:]}"
        temporary = places.empty[1]
        if which == signal.SIGKILL:
            self.result.left_in_tmp += bool(list(temporary.iterdir()))
            shutil.rmtree(temporary)
            temporary.mkdir()
        elif wrong := self._left(outcome, places):
            return wrong
        if not self.program.goes_on and self._look(places) == self.expected:
            return ""  # it was at its end
        again = self._run(places)
        if broken := broken_rules(again, self.limits, (0,)):
            return f"started again: {broken[0]} {again.error}"
        found = self._look(places)
        if found != self.expected:
            return f"started again: {_difference(found, self.expected)}"
        return ""

    def _left(self, outcome, places):
        """Returns what an orderly end left that it must not leave."""
        if outcome.strays or outcome.survivors:
            return f"strays {outcome.strays[:3]}, {outcome.survivors} processes"
        left = sorted(
            str(p.relative_to(places.output)) for p in places.output.rglob("*")
        )
        unfinished = [name for name in left if ".tmp" in name or ".part" in name]
        kept = {".o.mp4.parts"} if self.program.goes_on else set()
        unfinished = [n for n in unfinished if n.split("/")[0] not in kept]
        if unfinished:
            return f"left over: {unfinished[:3]}"
        done = self._look(places) == self.expected
        if outcome.status and left and not (self.program.goes_on or done):
            return f"nothing was finished, and there is {left[:3]}"
        return ""


def _difference(found, expected):
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = found.keys() | expected.keys()
        odd = [key for key in sorted(keys) if found.get(key) != expected.get(key)]
        return f"{len(odd)} files differ: {odd[:3]}"
    return f"{found} instead of {expected}"[:300]


def kill(
    name: str, moments: int, first: int = 0, seconds: float = LIMITS.seconds
) -> Kills:
    """Kills one program at some moments.

    Args:
        name: One of `PROGRAMS`.
        moments: How often.
        first: Number of the first kill, which decides its moment.
        seconds: What a run may take.
    """
    limits = dataclasses.replace(LIMITS, seconds=seconds)
    with tempfile.TemporaryDirectory() as root:
        killer = Killer(name, pathlib.Path(root), limits)
        for number in range(first, first + moments):
            killer.kill(number)
        return killer.result


def main() -> int:
    """Returns 0 when nothing was wrong, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", default="all")
    parser.add_argument("--moments", type=int, default=15)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=LIMITS.seconds)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    chosen = list(PROGRAMS) if given.programs == "all" else given.programs.split(",")
    results = []
    for name in chosen:
        results.append(kill(name, given.moments, given.first, given.seconds))
        for number, wrong in results[-1].faults.items():
            print(f"{name} {number}: {wrong}", flush=True)
        print(results[-1].row(), f"tmp {results[-1].left_in_tmp}", flush=True)
    return 1 if any(result.faults for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
