"""Puts one person's face on the faces of a video, a GIF, a WebP or a folder of images.

python video_swap/multi_face_single_source.py --vid_path clip.mp4 --swap_source me.jpg

Sound, subtitles, chapters and the times of all frames are those of the input. Several
people can be given several faces with --map. Exit status 2: done, but the input is
damaged in the stretches the report names. What could be decoded of them was passed
through; an animation ends there.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import typing

from facedancer import cli, places, stopping
from facedancer.errors import InputError
from facedancer.settings import setting
from facedancer.video_swap.encode_settings import EncodeSettings
from facedancer.video_swap.settings import ClipSettings, SharedSettings, StageSettings

if typing.TYPE_CHECKING:
    from facedancer.video_swap.clips import clip_job
    from facedancer.video_swap.swapping import networks


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoSettings(SharedSettings):
    """Settings of the program.

    Attributes:
        vid_path: The video.
        output: File to write; .mp4, .mov, .mkv, .webm, .gif, .webp, or a name without
            ending for a folder of images. Empty: results/<name>_swapped of the same
            kind for .mkv (.mp4 would lose its subtitles), .gif, .webp and folders, else
            .mp4.
        clip: Which part of the clip.
        stages: How the frames of a clip are worked on.
        encode: How the picture is encoded.
    """

    vid_path: str = setting(essential=True)
    output: str = setting("", essential=True)
    clip: ClipSettings = ClipSettings()
    stages: StageSettings = StageSettings()
    encode: EncodeSettings = EncodeSettings()


def main(settings: VideoSettings) -> int:
    """Swaps and returns the exit status.

    Args:
        settings: What the flags say.
    """
    return print_summary(swap(settings))


def swap(settings: VideoSettings, loaded: networks.Networks | None = None) -> dict:
    """Writes a clip with swapped faces and returns the report, ready for JSON.

    Args:
        settings: What the flags say.
        loaded: The networks they name, where they are there already.

    Raises:
        InputError: If a file cannot be used, or no face is swapped.
    """
    # Here, so that --help and a mistyped flag need not wait for the network library.
    from facedancer.video_swap import options
    from facedancer.video_swap.clips import clip_job
    from facedancer.video_swap.provenance import labels

    job = make_job(settings)
    labeller = labels.Labeller(settings.label)
    swapper, names = options.make_swapper(settings, settings.vid_path, loaded)
    labeller.generator = names["generator"]
    job = dataclasses.replace(
        job, describe=options.fingerprint(settings, swapper, names)
    )
    report = clip_job.swap_clip(job, swapper, labeller)
    report["networks"] = names
    options.write_report(settings.report, report)
    return report


def make_job(settings: VideoSettings) -> clip_job.ClipJob:
    """Returns what is to be done, checked as far as it can be before the networks load.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If the input cannot be read or a flag has no meaning.
    """
    from facedancer.video_swap.clips import clip_job, plan

    path = pathlib.Path(settings.vid_path)
    if not path.exists():
        raise InputError(f"--vid_path: {path}: no such file or folder")
    output = pathlib.Path(settings.output or default_output(path))
    file = output if output.suffix else ""
    places.check_places(settings, {"output": file, "report": settings.report})
    job = clip_job.ClipJob(
        path,
        output,
        settings.clip,
        settings.stages,
        settings.encode,
        progress=True,
        max_pixels=settings.max_pixels,
    )
    plan.check_output(job, clip_job.open_reader(job))
    return job


def default_output(path: pathlib.Path) -> pathlib.Path:
    """Returns where the result goes if nothing else is said.

    Args:
        path: The input.
    """
    from facedancer.video_swap import options
    from facedancer.video_swap.media import pictures

    kept = path.suffix.lower() in (*pictures.ANIMATIONS, ".mkv")
    ending = path.suffix if kept else ".mp4"
    return options.default_output(path, "" if path.is_dir() else ending)


def print_summary(report: dict) -> int:
    """Prints what was done and returns the exit status.

    Args:
        report: What `swap_clip` gave.
    """
    for line in (*report["notes"], *report["streams"]):
        print(line)
    for start, end in report["damage"]:
        if end > start:  # else the input ends there, as a note says
            print(
                f"Damaged input from {start:.2f} s to {end:.2f} s: passed through as "
                "it is",
                file=sys.stderr,
            )
    print(
        f"{report['faces_swapped']} faces in {report['frames_with_swap']} of "
        f"{report['frames']} frames swapped, {report['gaps_filled']} in gaps of the "
        f"detection. Provenance: {report['provenance']}"
    )
    print(report["output"])
    if report.get("interrupted"):
        return stopping.status()
    return cli.PARTIAL if report["damage"] else cli.DONE


if __name__ == "__main__":
    cli.run(main, VideoSettings)
