"""What was done to a clip, ready for JSON, and whether it is worth a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facedancer.errors import InputError

if TYPE_CHECKING:
    from facedancer.video_swap.clips.clip_job import ClipJob
    from facedancer.video_swap.media.pictures import ClipReader
    from facedancer.video_swap.swapping.swapper import FaceSwapper


def make_report(
    job: ClipJob, reader: ClipReader, entries: list[dict], swapper: FaceSwapper
) -> dict:
    """Returns the report of a run.

    Args:
        job: The `ClipJob`.
        reader: What read its clip.
        entries: What `segments.summary` gave, of all parts.
        swapper: The swapper, which names the rules.
    """

    def total(key: str) -> int:
        return sum(entry[key] for entry in entries)

    by_rule: dict[str, int] = {}
    for entry in entries:
        for rule, count in entry["by_rule"].items():
            name = swapper.rules[int(rule)].name
            by_rule[name] = by_rule.get(name, 0) + count
    keys = ("frames", "frames_with_swap", "faces_found", "faces_swapped", "gaps_filled")
    return {
        "input": str(job.path),
        "output": str(job.output),
        **{key: total(key) for key in keys},
        "swapped_by_rule": by_rule,
        "landmark_jitter": _jitter(entries),
        "damage": [[float(a), float(b)] for a, b in reader.damage],
        "notes": list(reader.notes),
    }


def _jitter(entries: list[dict]) -> dict[str, float]:
    """Returns the mean second difference of landmarks, in eye distances."""
    before, after, count = (
        sum(entry["jitter"][i] for entry in entries) for i in range(3)
    )
    count = max(count, 1)
    return {"before": round(before / count, 5), "after": round(after / count, 5)}


def check_swapped(report: dict) -> None:
    """Refuses a result in which nothing changed.

    Args:
        report: What `make_report` or `segments.summary` gave, with the input's name.

    Raises:
        InputError: If no face was swapped.
    """
    if report["faces_swapped"]:
        return
    if report["faces_found"]:
        raise InputError(
            f"{report['input']}: {report['faces_found']} faces were found, but none "
            "that was to be swapped. Nothing was written. Lower --min_track for faces "
            "seen for a moment only, lower --threshold, or check --map, --only and "
            "--except"
        )
    raise InputError(
        f"{report['input']}: no face was found in {report['frames']} frames. Nothing "
        "was written. Lower --score_threshold or raise --working_size for small faces"
    )
