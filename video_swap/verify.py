"""Tells whether a file is a signed face swap, whether it was altered, what it says.

python video_swap/verify.py results/clip_swapped.mp4

Exit status 0: signed and unaltered. 2: altered after it was signed, or no signature
left but the watermark found. 1: neither, or no such file.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib

import numpy as np

from facedancer import cli, images
from facedancer.errors import InputError
from facedancer.settings import positional
from facedancer.video_swap.media import pictures, video_reader
from facedancer.video_swap.provenance import credentials, signing, watermark

# Frames of a clip that are searched for the watermark: every fourth of the first 96.
_FRAMES, _EVERY = 24, 4


@dataclasses.dataclass(frozen=True)
class VerifySettings:
    """What is looked at.

    Attributes:
        path: An image, a clip or an animation.
        json: Print everything as JSON.
    """

    path: str = positional("FILE")
    json: bool = False


def main(settings: VerifySettings) -> int:
    """Prints what was found and returns the exit status.

    Args:
        settings: What the flags say.
    """
    found = examine(settings.path)
    if settings.json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(in_words(found)))
    return status_of(found)


def examine(path: str) -> dict:
    """Returns what a file carries, ready for JSON.

    Args:
        path: The file.

    Raises:
        InputError: If it cannot be read.
    """
    own = None
    if credentials.exist():
        own = credentials.load_credentials()
    claim = signing.read(path, own)
    mark = _mark_beside(claim, path)
    return {
        "path": str(path),
        "signed": claim.signed,
        "intact": claim.intact,
        "signer": claim.signer,
        "signed_by_this_installation": claim.trusted,
        "says": claim.says,
        "problems": list(claim.problems),
        **mark,
    }


def _mark_beside(claim, path):
    """Returns what of the watermark is told; a signed file need not be readable."""
    try:
        mark = find_watermark(path)
    except InputError as error:
        if not claim.signed:
            raise
        return {"watermark": None, "watermark_error": str(error)}
    return {
        "watermark": mark.found,
        "watermark_score": round(mark.score, 2),
        "watermark_payload": f"{mark.payload:08x}" if mark.found else None,
    }


def find_watermark(path: str) -> watermark.Detection:
    """Returns the watermark of an image or of the first frames of a clip.

    Args:
        path: The file.

    Raises:
        InputError: If it is neither.
    """
    values = [watermark.values_of(image) for image in _some_frames(path)]
    return watermark.read_values(np.mean(values, axis=0))


def _some_frames(path):
    path = pathlib.Path(path)
    if path.suffix.lower() in pictures.ANIMATIONS:
        reader = pictures.PictureReader(path, every=_EVERY)
    elif path.suffix.lower() in images.EXTENSIONS:
        yield images.read_image(path)
        return
    else:
        reader = video_reader.VideoReader(path, every=_EVERY, hdr_mode="convert")
    for frame in reader:
        yield frame.image
        if frame.index + 1 >= _FRAMES:
            return


def status_of(found: dict) -> int:
    """Returns the exit status for what `examine` found.

    Args:
        found: Its result.
    """
    if found["signed"] and found["intact"]:
        return cli.DONE
    return cli.PARTIAL if found["signed"] or found["watermark"] else cli.FAILED


def in_words(found: dict) -> list[str]:
    """Returns what `examine` found, as lines to print.

    Args:
        found: Its result.
    """
    lines = [f"{found['path']}:"]
    if not found["signed"]:
        lines.append("  no signature")
    else:
        state = "intact" if found["intact"] else "ALTERED after it was signed"
        own = (
            "this installation"
            if found["signed_by_this_installation"]
            else ("nobody known here: anyone can make such a key")
        )
        signer = found["signer"] or "a name that is lost"
        lines.append(f"  signed by {signer} ({own}), {state}")
        lines += [f"  problem: {problem}" for problem in found["problems"]]
        for action in found["says"].get("actions", []):
            kind = action.get("digitalSourceType", "").rsplit("/", 1)[-1]
            generator = action.get("generator", "")
            name = action.get("action", "")
            lines.append(f"  says: {name} {kind} {generator}".rstrip())
        lines.append(f"  made from: {found['says'].get('parent', '')}")
    lines.append(f"  watermark: {_mark_in_words(found)}")
    return lines


def _mark_in_words(found):
    if found["watermark"] is None:
        return f"cannot be read ({found['watermark_error']})"
    score = f"score {found['watermark_score']}, from {watermark.THRESHOLD} on"
    if found["watermark"]:
        return f"found ({score}), payload {found['watermark_payload']}"
    return f"not found ({score})"


if __name__ == "__main__":
    cli.run(main, VerifySettings)
