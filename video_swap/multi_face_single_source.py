"""Puts one person's face on the faces of a video, a GIF, a WebP or a folder of images.

python video_swap/multi_face_single_source.py --vid_path clip.mp4 --swap_source me.jpg

Sound, subtitles, chapters and the times of all frames are those of the input. Several
people can be given several faces with --map. Exit status 2: done, but the input is
damaged in the stretches the report names. What could be decoded of them was passed
through; an animation ends there.
"""

from __future__ import annotations

import sys

from facedancer import cli
from facedancer.process import stopping
from facedancer.video_swap.clip_swap import VideoSettings, swap


def main(settings: VideoSettings) -> int:
    """Swaps and returns the exit status.

    Args:
        settings: What the flags say.
    """
    return print_summary(swap(settings))


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
