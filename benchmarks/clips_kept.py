"""What swapping kept of clips: a table of inputs against results.

    python benchmarks/clips_kept.py --clips_dir=clips --results_dir=swapped --length=2

A result has the input's name, or only its stem where the ending had to change. Colour:
the median over a frame's pixels of result minus input, which faces hardly move; the
largest of all frames and channels is shown. Sound: the packets of all audio tracks,
compared byte by byte where both hold that moment.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib

import av
import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.video_swap.media import pictures, video_reader


@dataclasses.dataclass(frozen=True)
class KeptSettings:
    """What is compared.

    Attributes:
        clips_dir: The inputs.
        results_dir: The results.
        length: Seconds of each input that were swapped; 0: all.
    """

    clips_dir: str
    results_dir: str
    length: float = 0.0


def reader_of(path: pathlib.Path, length: float = 0.0):
    """Returns a reader of frames; see `video.VideoReader`.

    Args:
        path: A video, GIF or WebP.
        length: Seconds from the start; 0: all.
    """
    kind = (
        pictures.PictureReader
        if pictures.is_picture(path)
        else video_reader.VideoReader
    )
    return kind(path, 0.0, length or None)


def sound_of(path: pathlib.Path) -> list[bytes]:
    """Returns the audio packets, track after track, each in its order.

    Args:
        path: A file; one that PyAV cannot read has no sound.
    """
    try:
        with av.open(str(path)) as container:
            tracks = [track.index for track in container.streams.audio]
        return [packet for index in tracks for packet in _packets(path, index)]
    except av.error.FFmpegError:
        return []


def _packets(path, index):
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


@dataclasses.dataclass
class Kept:
    """How a result differs from its input.

    Attributes:
        frames: Number of frames of input and result.
        size: Whether pictures have the same size as shown.
        time: Largest difference of frame times in milliseconds.
        colour: Largest difference of colour in units of 1/255.
        sound: Audio packets of the result, and how many of them are the input's.
    """

    frames: tuple[int, int] = (0, 0)
    size: bool = True
    time: float = 0.0
    colour: float = 0.0
    sound: tuple[int, int] = (0, 0)


def compare(clip: pathlib.Path, result: pathlib.Path, length: float) -> Kept:
    """Returns how a result differs from its input.

    Args:
        clip: The input.
        result: What became of it.
        length: Seconds that were swapped; 0: all.
    """
    kept, counts = Kept(), [0, 0]
    first, second = reader_of(clip, length), reader_of(result)
    starts = []
    for one, other in itertools.zip_longest(first, second):
        counts[0] += one is not None
        counts[1] += other is not None
        if one is None or other is None:
            continue
        times = [
            float(frame.pts * reader.info.time_base)
            for frame, reader in ((one, first), (other, second))
        ]
        starts = starts or times
        shift = (times[1] - starts[1]) - (times[0] - starts[0])
        kept.time = max(kept.time, 1000 * abs(shift))
        kept.size &= one.image.shape == other.image.shape
        if kept.size:
            change = other.image.astype(np.int16) - one.image
            bias = np.abs(np.median(change.reshape(-1, 3), axis=0)).max()
            kept.colour = max(kept.colour, float(bias))
    kept.frames = tuple(counts)
    given, made = sound_of(clip), sound_of(result)
    known = set(given)
    kept.sound = (len(made), sum(packet in known for packet in made))
    return kept


def main(settings: KeptSettings) -> int:
    results = {p.stem: p for p in pathlib.Path(settings.results_dir).iterdir()}
    print("| clip | frames in, out | size | times off | colour off | sound packets |")
    print("|---|---|---|---|---|---|")
    for clip in sorted(pathlib.Path(settings.clips_dir).iterdir()):
        result = pathlib.Path(settings.results_dir, clip.name)
        result = result if result.is_file() else results.get(clip.stem)
        if result is None:
            print(f"| {clip.name} | no result | | | | |")
            continue
        try:
            kept = compare(clip, result, settings.length)
        except InputError as error:
            print(f"| {clip.name} | {error} | | | | |")
            continue
        made, equal = kept.sound
        print(
            f"| {clip.name} | {kept.frames[0]}, {kept.frames[1]} "
            f"| {'same' if kept.size else 'another'} | {kept.time:.2f} ms "
            f"| {kept.colour:.1f} | {equal} of {made} equal |",
            flush=True,
        )
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, KeptSettings)
