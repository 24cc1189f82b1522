"""Damaged clips for the program that swaps faces in clips."""

from __future__ import annotations

import pathlib
import re
from unittest import mock

import av
import numpy as np
from PIL import Image, ImageSequence

from facedancer.imaging import images
from facedancer.video_swap.media import pictures
from facedancer.video_swap.swapping import networks
from tests.hostile import mutations, seeds
from tests.hostile.cases import Case
from tests.hostile.harness import answer_of, program
from tests.video_swap import made

FRAMES = 20
# Name: codecs of picture and sound.
CLIPS = {
    "h264.mp4": ("libx264", "aac"),
    "h264.mkv": ("libx264", "aac"),
    "h264.mov": ("libx264", "aac"),
    "h264.ts": ("libx264", "aac"),
    "mpeg4.avi": ("mpeg4", "mp2"),
    "vp8.webm": ("libvpx", "libopus"),
    "mpeg4.mp4": ("mpeg4", "aac"),
    "h264.flv": ("libx264", "aac"),
}
ANIMATED = ("moving.gif", "moving.webp")
OUTPUTS = ("o.mp4", "o.mp4", "o.mkv", "o.gif", "o")


class Clips:
    """Makes cases: one damaged clip.

    Args:
        folder: For files that all cases share.
    """

    name = "clips"

    def __init__(self, folder: pathlib.Path):
        answer = answer_of(lambda: _make_whole_files(folder / "clips"), 300.0)
        if not answer:
            raise RuntimeError("the whole clips could not be made")
        self.clips = {name: (folder / "clips" / name).read_bytes() for name in answer}
        self.names = sorted(self.clips)

    def case(self, seed: int, places) -> Case:
        """Returns a case, its inputs written.

        Args:
            seed: Decides everything.
            places: Its folders.
        """
        random = np.random.default_rng([seed, 4])
        name = self.names[seed % len(self.names)]
        other = self.clips[self.names[random.integers(len(self.names))]]
        clip = places.inputs / f"clip_{name}"
        clip.write_bytes(mutations.damage(self.clips[name], random, other))
        source = seeds.write(places.inputs / "me.png", seeds.face(3))
        output = places.output / OUTPUTS[random.integers(len(OUTPUTS))]
        words = [f"--vid_path={clip}", f"--swap_source={source}", f"--output={output}"]
        words += ["--preset=ultrafast", "--segment_frames=8", "--min_track=1"]

        def start():
            with mock.patch.object(networks, "load_networks", seeds.loaded_networks):
                program("swap_video", words)()

        return Case(
            f"{name} to {output.name}",
            start,
            lambda outcome: _check(outcome, clip, output),
        )


def _make_whole_files(folder):
    folder.mkdir()
    frames = [seeds.face(number) for number in range(FRAMES)]
    for name, (codec, sound) in CLIPS.items():
        made.write_clip(folder / name, frames, codec=codec, audio=sound, tracks=1)
    for name in ANIMATED:
        pictures.write_animation(folder / name, [(image, 40) for image in frames])
    return [*CLIPS, *ANIMATED]


def _check(outcome, clip, output):
    """What was made must hold every frame that plain decoding finds, or be told of."""
    beside = output.with_name(f"{output.name}.provenance.json")  # of .mkv
    left = [path for path in output.parent.iterdir() if path not in (output, beside)]
    if left:
        return f"left over: {[path.name for path in left]}"
    if outcome.status == 1:
        return "refused, and something was written" if output.exists() else ""
    if not output.exists():
        return f"status {outcome.status} and no output"
    found = answer_of(lambda: _count(clip))
    if found is None:
        return ""  # the decoder dies of it; that the program did not is enough
    count, bad = found
    told = int(re.search(r"faces in \d+ of (\d+) frames", outcome.stdout)[1])
    made_count, made_bad = answer_of(lambda: _count(output)) or (0, True)
    if made_bad or made_count != told:
        return f"{made_count} frames in the output, {told} are said to be"
    if outcome.status == 0 and bad:
        return "damage that the decoder tells of is not told"
    if outcome.status == 0 and told != count:
        return f"{told} of {count} frames without a word"
    if outcome.status == 2 and not re.search(
        "[Dd]amage", outcome.stdout + outcome.stderr
    ):
        return "status 2 without a word"
    return ""


def _count(path):
    """Returns how many frames plain decoding finds, and whether it met damage."""
    if path.is_dir():
        return len(images.list_images(path)), False
    if path.suffix in pictures.ANIMATIONS:
        return _count_pictures(path)
    count, bad = 0, False
    with av.open(str(path), metadata_errors="replace") as container:
        (stream, *_) = container.streams.video
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return count, bad
            except av.error.FFmpegError:
                return count, True
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                bad = True
                continue
            count += len(frames)
            bad = bad or any(frame.is_corrupt for frame in frames)


def _count_pictures(path):
    count = 0
    try:
        with Image.open(path) as animation:
            for frame in ImageSequence.Iterator(animation):
                frame.convert("RGB")
                count += 1
    except (OSError, SyntaxError, EOFError, ValueError, IndexError):
        return count, True
    return count, False
