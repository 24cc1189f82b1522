"""The programs that are killed: how they are started, and what is compared after."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable
from unittest import mock

import av
import numpy as np

from facedancer.arcface_model import build_mobilefacenet
from facedancer.evaluation import options
from facedancer.evaluation.instruments import judges
from facedancer.imaging import images
from facedancer.retinaface import api as retinaface_api
from facedancer.video_swap.swapping import networks
from tests.evaluation import fixtures as evaluation_fixtures
from tests.hostile import seeds
from tests.retinaface import test_train_detector
from tests.train import program, tiny
from tests.video_swap import made

_EVENTS = "events.out.tfevents"


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
        retinaface_api, "load_detector", lambda *args, **options: seeds.AnyDetector()
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
        *program.TINY,
    ]


def _students(folder):
    random = np.random.default_rng(0)
    for index in range(8):
        small = random.integers(0, 256, (28, 28, 3), np.uint8)
        path = folder / "faces" / f"p{index // 2}" / f"{index}.png"
        images.write_image(path, images.resize(small, 112))
    teacher = build_mobilefacenet(8, image_size=48, width=0.125, blocks=(1, 1, 1))
    teacher.save(folder / "teacher.keras")


def _detector_words(source, out):
    return [
        *(f"--data_dir={source}", f"--labels={source}/labels.csv"),
        *(f"--output={out}/detector.keras", "--image_size=64", "--steps=4"),
        *("--batch_size=2", "--save_every=2", "--workers=1"),
    ]


@contextlib.contextmanager
def _eagerly():
    """Spares the minute in which a training step is compiled."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield


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
            *("--image_size=32", "--width=0.125", "--blocks=1,1,1"),
        ],
        _students,
        names,
        patch=_eagerly,
    ),
}
