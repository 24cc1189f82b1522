"""One clip: what is to be done, checked; done, written and reported."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

from facedancer import places
from facedancer.errors import InputError
from facedancer.flags.settings import setting
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
