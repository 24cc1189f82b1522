"""What a photo or clip carries: its signature, the watermark, what both say of it."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from facedancer import cli
from facedancer.errors import InputError
from facedancer.imaging import images
from facedancer.storage import files
from facedancer.video_swap.media import pictures, video_reader
from facedancer.video_swap.provenance import credentials, signing, watermark

# Frames of a clip that are searched for the watermark: every fourth of the first 96.
_FRAMES, _EVERY = 24, 4
UNKNOWN, NO_MODEL = 3, 4  # exit statuses of `facedancer verify`, beside those of all
# Kinds of the IPTC's vocabulary "digital source type".
_MODELS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")


def examine(path: str, certificate: str = "") -> dict:
    """Returns what a file carries, ready for JSON.

    Args:
        path: The file.
        certificate: File of certificates of the signer that counts as this
            installation, PEM; empty: those of this installation.

    Raises:
        InputError: If it cannot be read.
    """
    own = _own(certificate)
    claim = signing.read(path, own)
    found = {
        "path": str(path),
        "signed": claim.signed,
        "intact": claim.intact,
        "signer": claim.signer,
        "signed_by_this_installation": claim.trusted,
        "made_with_trained_model": _names_model(claim.says),
        "says": claim.says,
        "problems": list(claim.problems),
        **_mark_beside(claim, path, own),
    }
    return {**found, "verdict": verdict(found)}


def _own(certificate: str) -> credentials.Credentials | None:
    """Returns whose signatures count as this installation's; the key is not needed.

    Raises:
        InputError: If the certificates that are given cannot be read.
    """
    if certificate:
        try:
            chain = pathlib.Path(certificate).read_bytes()
        except OSError as error:
            raise InputError(f"{certificate}: {error.strerror}") from None
        return credentials.Credentials(b"", chain)
    if not credentials.exist():
        return None
    try:
        return credentials.load_credentials()
    except InputError as error:
        logging.getLogger("absl").warning("Nothing counts as signed here: %s", error)
        return None


def _names_model(says: dict[str, Any]) -> bool:
    """Returns whether a file, or one it was made from, says that a model made it."""
    actions = [*says.get("actions", ()), *_actions_before(says)]
    kinds = {a.get("digitalSourceType", "").rsplit("/", 1)[-1] for a in actions}
    return not kinds.isdisjoint(_MODELS)


def _actions_before(says: dict[str, Any]) -> list[dict[str, Any]]:
    return [action for one in says.get("before", ()) for action in one["actions"]]


def _mark_beside(
    claim: signing.Claim, path: str | os.PathLike, own: credentials.Credentials | None
) -> dict[str, Any]:
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
        "watermark_names_this_installation": bool(
            own and mark.found and mark.payload == own.number
        ),
    }


def find_watermark(path: str | os.PathLike) -> watermark.Detection:
    """Returns the watermark of an image or of the first frames of a clip.

    Args:
        path: The file.

    Raises:
        InputError: If it is neither.
    """
    values = [watermark.values_of(image) for image in _some_frames(path)]
    return watermark.read_values(np.mean(values, axis=0))


def _some_frames(path: str | os.PathLike) -> Iterator[np.ndarray]:
    path = pathlib.Path(path)
    reader: pictures.ClipReader
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
    if not (found["signed"] and found["intact"]):
        return cli.PARTIAL if found["signed"] or found["watermark"] else cli.FAILED
    if not found["made_with_trained_model"]:
        return NO_MODEL
    return cli.DONE if found["signed_by_this_installation"] else UNKNOWN


_VERDICTS = {
    cli.DONE: "signed here and unaltered: a trained model made or changed it",
    cli.FAILED: "nothing says that faces were swapped, which proves nothing",
    UNKNOWN: "unaltered, and says that a trained model made or changed it; signed by "
    "somebody unknown here",
    NO_MODEL: "signed and unaltered, but it does not say that a trained model made it",
}


def verdict(found: dict) -> str:
    """Returns in one sentence what `examine` found.

    Args:
        found: Its result.
    """
    status = status_of(found)
    if status != cli.PARTIAL:
        return _VERDICTS[status]
    if found["signed"]:
        return "altered after it was signed: what it says does not count"
    return "its signature is gone; the watermark is that of a face swap"


def in_words(found: dict) -> list[str]:
    """Returns what `examine` found, as lines to print.

    Each is one line: what a file says cannot look like a verdict of this program.

    Args:
        found: Its result.
    """
    return [files.in_print(line) for line in _lines_of(found)]


def _lines_of(found: dict) -> list[str]:
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
            lines.append(f"  says: {_action_in_words(action)}")
        for action in _actions_before(found["says"]):
            lines.append(f"  said before it was opened: {_action_in_words(action)}")
        lines.append(f"  made from: {found['says'].get('parent', '')}")
    lines.append(f"  watermark: {_mark_in_words(found)}")
    return [*lines, f"  verdict: {found['verdict']}"]


def _action_in_words(action: dict[str, Any]) -> str:
    kind = action.get("digitalSourceType", "").rsplit("/", 1)[-1]
    words = (action.get("action", ""), kind, action.get("generator", ""))
    return " ".join(word for word in words if word)


def _mark_in_words(found: dict[str, Any]) -> str:
    if found["watermark"] is None:
        return f"cannot be read ({found['watermark_error']})"
    score = f"score {found['watermark_score']}, from {watermark.THRESHOLD} on"
    if found["watermark"]:
        whose = found["watermark_names_this_installation"] and ", this installation's"
        return f"found ({score}), payload {found['watermark_payload']}{whose or ''}"
    return f"not found ({score})"
