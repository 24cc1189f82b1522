"""Swaps a face in a clip with nothing but what the package carries.

    facedancer-demo --output_dir=facedancer_demo

The clip is made here: a camera moves over a portrait of Eileen Collins, with a
generated sound track. The face put in is Grace Hopper's (both: `sample_photos`). The
swap is the ordinary program, and the command is printed.
"""

from __future__ import annotations

import dataclasses
import fractions
import math
import os
import pathlib
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence

import av
import cv2
import numpy as np

from facedancer import cli
from facedancer.flags.settings import Checked, ranged
from facedancer.imaging import images, sample_photos
from facedancer.storage import claims, files, weights

RATE = 25
SIDE = 480
SAMPLE_RATE = 44_100
_CHORD = (220.0, 277.18, 329.63, 440.0)  # A major, in Hz
_SOUND_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class DemoSettings(Checked):
    """Settings of the program.

    Attributes:
        output_dir: Folder of the clip, the result and a picture of both.
        seconds: Length of the clip.
    """

    output_dir: str = "facedancer_demo"
    seconds: float = ranged(4.0, low=0.2, high=60.0)


def camera(image: np.ndarray, progress: float) -> np.ndarray:
    """Returns what the moving camera sees: it comes closer, sways and tilts.

    Args:
        image: `(height, width, 3)` uint8, the still.
        progress: How far the clip has come, in [0, 1].

    Returns:
        `(SIDE, SIDE, 3)` uint8.
    """
    zoom = SIDE / min(image.shape[:2]) * (1.1 + 0.8 * progress)
    angle = math.radians(5.0 * math.sin(2.0 * math.pi * progress))
    centre = np.array(image.shape[1::-1]) * (
        0.5 - 0.06 * progress,
        0.48 - 0.2 * progress,
    )
    centre += (0.02 * SIDE * math.sin(4.0 * math.pi * progress), 0.0)
    linear = zoom * np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    matrix = np.column_stack([linear, SIDE / 2.0 - linear @ centre])
    return cv2.warpAffine(
        image,
        matrix,
        (SIDE, SIDE),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )


def sound(seconds: float) -> np.ndarray:
    """Returns a chord played note by note, `(1, samples)` float32 in [-1, 1].

    Args:
        seconds: Length.
    """
    time_axis = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    beat = (time_axis * 4.0).astype(int) % len(_CHORD)
    fade = np.exp(-4.0 * (time_axis * 4.0 % 1.0))
    wave = np.sin(2.0 * np.pi * np.array(_CHORD)[beat] * time_axis)
    return (0.4 * fade * wave).astype(np.float32)[None]


def write_clip(path: pathlib.Path, still: np.ndarray, seconds: float) -> None:
    """Writes the clip of a camera over a still, H.264 with AAC.

    Args:
        path: The file.
        still: `(height, width, 3)` uint8.
        seconds: Length of the clip.
    """
    count = round(seconds * RATE)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "16"})
        video.width = video.height = SIDE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index in range(count):
            picture = camera(still, index / max(1, count - 1))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        _write_sound(container, audio, sound(count / RATE))


def _write_sound(
    container: av.container.OutputContainer, stream: av.AudioStream, samples: np.ndarray
) -> None:
    for start in range(0, samples.shape[1], _SOUND_BLOCK):
        block = np.ascontiguousarray(samples[:, start : start + _SOUND_BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def comparison(
    source: np.ndarray,
    target_path: str | os.PathLike,
    swapped_path: str | os.PathLike,
    count: int = 4,
) -> np.ndarray:
    """Returns frames of two clips above each other, the source photo at the left.

    Args:
        source: `(height, width, 3)` uint8.
        target_path: The clip.
        swapped_path: Its swapped form, with as many frames.
        count: Frames to show.
    """
    rows = [_some_frames(path, count) for path in (target_path, swapped_path)]
    right = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    height = right.shape[0]
    width = round(source.shape[1] * height / source.shape[0])
    left = cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA)
    return np.concatenate([left, right], axis=1)


def _some_frames(path: str | os.PathLike, count: int) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return [frames[index] for index in chosen]


def _run(words: Sequence[str]) -> int:
    """Returns the exit status of a program that is told to end when this one is."""
    with subprocess.Popen(words) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def main(settings: DemoSettings) -> int:
    for kind in ("generator", "encoder", "detector", "parser"):
        weights.find_portable(kind)
    folder = pathlib.Path(settings.output_dir)
    with claims.claimed(folder, folder=True):
        return _show(folder, settings.seconds)


def _show(folder: pathlib.Path, seconds: float) -> int:
    began = time.monotonic()
    portrait = sample_photos.read("hopper")
    source = images.write_image(folder / "source.jpg", portrait)
    target, swapped = folder / "target.mp4", folder / "swapped.mp4"
    with files.whole(target) as temporary:
        write_clip(temporary, sample_photos.read("collins"), seconds)

    program = "facedancer.video_swap.multi_face_single_source"
    words = [f"--vid_path={target}", f"--swap_source={source}", f"--output={swapped}"]
    # The packaged generator paints colours; take only the brightness of its faces.
    words += ["--faces=largest"]
    print(f"python -m {program} {shlex.join(words)}", flush=True)
    status = _run([sys.executable, "-m", program, *words])
    if status:
        return status
    picture = comparison(portrait, target, swapped)
    images.write_image(folder / "comparison.png", picture)
    print(f"{weights.note('generator')} Took {time.monotonic() - began:.0f} s.")
    print(f"Source, clip and result in one picture: {folder / 'comparison.png'}")
    print(f"The swapped clip: {swapped}")
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, DemoSettings)
