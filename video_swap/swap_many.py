"""Swaps many photos and clips by patterns, goes on where it was stopped, and reports.

    facedancer swap -s "people/*.jpg" -t "clips/*.mp4" -o "out/{target}-{source}.mp4"

Every source is put into every target. What an earlier run finished, from the same files
and with the same settings, is not made again; what fails does not stop the rest. The
report, JSON, names each pair as done, skipped or failed and says why. Exit status 2:
some failed; 1: all did.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import glob
import hashlib
import itertools
import json
import os
import pathlib
import typing
from collections.abc import Sequence
from typing import Any

from facedancer import cli, places
from facedancer.errors import InputError
from facedancer.flags.settings import choice, flat, setting
from facedancer.imaging import image_formats
from facedancer.process import beam_runner, stopping
from facedancer.storage import claims, files
from facedancer.video_swap import clip_swap, photo_swap
from facedancer.video_swap.encode_settings import EncodeSettings
from facedancer.video_swap.settings import ClipSettings, SharedSettings, StageSettings

if typing.TYPE_CHECKING:
    from facedancer.video_swap.settings import NetworkSettings
    from facedancer.video_swap.swapping import networks

DEFAULT_OUTPUT = "results/{target}-{source}{ending}"
_REPORT = "report.json"
# Settings that change no result.
_FREE = (
    *("target", "output", "swap_source", "report", "runner", "beam_options"),
    *("resume", "interrupted"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ManySettings(SharedSettings):
    """Settings of the program. --swap_source takes patterns too.

    Attributes:
        target: Photo or clip, or a pattern of several, such as "clips/*.mp4".
        output: File to write of each pair. {target} and {source} stand for their names
            without ending, {ending} for .png of a photo and what a clip gets by itself.
            Empty: results/{target}-{source}{ending}.
        runner: local, or a runner of Apache Beam, which hands the pairs to its workers;
            they must see all files under the same names.
        beam_options: Options of that runner, with commas between.
        clip: Which part of the clip.
        stages: How the frames of a clip are worked on.
        encode: How the picture is encoded.
    """

    target: tuple[str, ...] = setting((), repeated=True, essential=True)
    output: str = setting("", essential=True)
    runner: str = choice("local", ("local", *beam_runner.RUNNERS))
    beam_options: tuple[str, ...] = ()
    clip: ClipSettings = ClipSettings()
    stages: StageSettings = StageSettings()
    encode: EncodeSettings = EncodeSettings()


@dataclasses.dataclass(frozen=True)
class Task:
    """One pair.

    Attributes:
        target: The photo or clip.
        source: Whose face it gets; empty: only --map or --pick say so.
        output: The file that is written.
        key: Hash of all that the result depends on.
        settings: All settings.
        entry: File that is told what became of it.
    """

    target: str
    source: str
    output: str
    key: str
    settings: ManySettings
    entry: str


def main(settings: ManySettings) -> int:
    """Swaps and returns the exit status.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If a pattern fits no file, or two pairs have one output.
    """
    report = report_path(settings)
    tasks = plan(settings, report)
    with claims.claimed(report):
        entries = run(tasks, settings, report)
    print("\n".join(table(entries)))
    counts = collections.Counter(entry["status"] for entry in entries)
    words = [f"{counts[name]} {name}" for name in ("done", "skipped", "failed")]
    print(f"{', '.join(words)}. Report: {report}")
    if counts["interrupted"]:
        return stopping.status()
    if counts["failed"] == len(entries):
        return cli.FAILED
    return cli.PARTIAL if any(entry.get("reason") for entry in entries) else cli.DONE


def report_path(settings: ManySettings) -> pathlib.Path:
    """Returns where the report goes.

    Args:
        settings: What the flags say.
    """
    if settings.report:
        return pathlib.Path(settings.report)
    pattern = pathlib.Path(settings.output or DEFAULT_OUTPUT)
    fixed = itertools.takewhile(lambda part: "{" not in part, pattern.parent.parts)
    return pathlib.Path(*fixed, _REPORT)


def plan(settings: ManySettings, report: pathlib.Path) -> list[Task]:
    """Returns all pairs.

    Args:
        settings: What the flags say.
        report: Where the report goes.

    Raises:
        InputError: If a pattern fits no file, two pairs have one output, or an input
            would be written over.
    """
    if not settings.target:
        raise InputError("Which photos or clips? Give them with -t. Received: none")
    targets = expand("target", settings.target)
    sources = expand("swap_source", settings.people.swap_source) or [""]
    tasks = []
    for target, source in itertools.product(targets, sources):
        output = output_of(settings.output or DEFAULT_OUTPUT, target, source)
        key = _key(settings, target, source)
        entry = str(_entries_of(report) / f"{key}.json")
        tasks.append(Task(target, source, output, key, settings, entry))
    _check_outputs(tasks, report)
    return tasks


def expand(flag: str, patterns: Sequence[str]) -> list[str]:
    """Returns the files and folders that patterns name, each once, in order.

    Args:
        flag: For the message.
        patterns: Names, or patterns as a shell knows them; `**` stands for folders.

    Raises:
        InputError: If one names nothing.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        if os.path.lexists(pattern):
            here = [pattern]
        else:
            here = sorted(glob.glob(pattern, recursive=True))
        if not here:
            raise InputError(f"--{flag}: no file is called {pattern}")
        found |= dict.fromkeys(here)
    return list(found)


def output_of(pattern: str, target: str, source: str) -> str:
    """Returns the file of a pair.

    Args:
        pattern: See `ManySettings`.
        target: The photo or clip.
        source: Whose face it gets.

    Raises:
        InputError: If the pattern holds another word in braces.
    """
    ending = ".png"
    if "{ending}" in pattern and not image_formats.is_photo(target):
        ending = clip_swap.default_output(pathlib.Path(target)).suffix
    words = {"target": _stem(target), "source": _stem(source), "ending": ending}
    try:
        return pattern.format_map(words)
    except (KeyError, ValueError, IndexError, AttributeError):
        raise InputError(
            f"--output knows {{target}}, {{source}} and {{ending}}. Received: {pattern}"
        ) from None


def _stem(path: str) -> str:
    return (
        os.path.basename(path.rstrip("/"))
        if os.path.isdir(path)
        else (pathlib.Path(path).stem)
    )


def _key(settings: ManySettings, target: str, source: str) -> str:
    values = {name: v for name, v in flat(settings).items() if name not in _FREE}
    named = {path for _, path in places.named_paths(values)} | {target, source}
    hashes = [_hash(path) for path in sorted(named) if os.path.exists(path)]
    text = json.dumps([values, target, source, hashes], sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


@functools.cache
def _hash(path: str) -> str:
    """Returns the hash of a file, or of the files in a folder."""
    if not os.path.isdir(path):
        return files.file_hash(path)
    names = sorted(item.path for item in os.scandir(path) if item.is_file())
    return "\n".join(f"{name} {files.file_hash(name)}" for name in names)


def _check_outputs(tasks: Sequence[Task], report: pathlib.Path) -> None:
    known: dict[pathlib.Path, Task] = {}
    for task in tasks:
        path = pathlib.Path(task.output).absolute()
        if path in known:
            other = known[path]
            raise InputError(
                f"--output: {task.target} with {task.source} and {other.target} with "
                f"{other.source} would both be {task.output}. Put "
                "{target} and {source} into its name; names of the files must differ"
            )
        known[path] = task
    if report.absolute() in known:
        raise InputError(f"--report and --output are both {report}")


def _entries_of(report: pathlib.Path) -> pathlib.Path:
    """Returns the folder that holds the entries until the report is written."""
    return report.with_name(f".{report.name}.parts")


def run(
    tasks: Sequence[Task], settings: ManySettings, report: pathlib.Path
) -> list[dict[str, Any]]:
    """Does what is missing, and returns and writes what became of each pair.

    Args:
        tasks: All pairs.
        settings: What the flags say.
        report: Where the report goes.
    """
    known = _known(report)
    finished = {task.key for task in tasks if _is_finished(known.get(task.key))}
    missing = [task for task in tasks if task.key not in finished]
    if settings.runner == "local":
        for number, task in enumerate(missing, 1):
            name = files.in_print(task.output)
            print(f"[{number}/{len(missing)}] {name}", flush=True)
            if swap_one(task)["status"] == "interrupted":
                break
    elif missing:
        beam_runner.run(swap_one, missing, settings.runner, settings.beam_options)
    known = _known(report)
    entries = [
        known[task.key] | ({"status": "skipped"} if task.key in finished else {})
        for task in tasks
        if task.key in known
    ]
    _write(report, list(known.values()), entries)
    return entries


def _known(report: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Returns what earlier runs, and this one, said of pairs, by their keys."""
    found: list[Any] = []
    try:
        stored = json.loads(report.read_bytes()) if report.is_file() else {}
        found += stored["known"] if stored else []
        found += [
            json.loads(path.read_bytes())
            for path in sorted(_entries_of(report).glob("*.json"))
        ]
        return {entry["key"]: entry for entry in found}
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{report} is not the report of such a run. Give another --report"
        ) from None


def _write(
    report: pathlib.Path, known: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    counts = collections.Counter(entry["status"] for entry in entries)
    text = {"counts": dict(counts), "pairs": entries, "known": known}
    words = json.dumps(text, indent=1, ensure_ascii=False)
    files.write_atomic(report, words.encode(errors="backslashreplace"))
    folder = _entries_of(report)
    if folder.is_dir():
        files.remove(folder)


def _is_finished(entry: dict[str, Any] | None) -> bool:
    """Whether a result is there, as it was when it was finished and signed."""
    if entry is None or entry["status"] != "done":
        return False
    path = entry["output"]
    return os.path.exists(path) and hashed(path) == entry["sha256"]


def hashed(path: str) -> str:
    """Returns the SHA-256 of a result; of a folder, of its files.

    Args:
        path: The result.
    """
    _hash.cache_clear()  # it may have changed
    return hashlib.sha256(_hash(path).encode(errors="surrogateescape")).hexdigest()


def swap_one(task: Task) -> dict[str, Any]:
    """Makes one result, and writes and returns what became of it.

    Args:
        task: The pair.
    """
    entry: dict[str, Any] = {"target": task.target, "source": task.source}
    entry |= {"output": task.output, "key": task.key}
    try:
        found = _swap(task)
    except InputError as error:
        if stopping.is_interrupt(error):
            raise
        entry |= {"status": "failed", "reason": " ".join(str(error).split())}
    else:
        names = ("faces_swapped", "provenance")
        entry |= {name: found[name] for name in names}
        entry |= {"status": "done", "sha256": hashed(task.output)}
        if found.get("interrupted"):
            entry |= {"status": "interrupted", "reason": "ends where it was stopped"}
        elif found.get("damage"):
            entry["reason"] = "the input is damaged: parts were passed through"
    files.write_atomic(task.entry, json.dumps(entry).encode())
    return entry


def _swap(task: Task) -> dict[str, Any]:
    """Returns the report of one swap."""
    given, sources = task.settings, (task.source,) if task.source else ()
    people = dataclasses.replace(given.people, swap_source=sources)
    shared = {
        field.name: getattr(given, field.name)
        for field in dataclasses.fields(SharedSettings)
    } | {"people": people, "report": "", "output": task.output}
    loaded = _networks(given.networks)
    if image_formats.is_photo(task.target):
        compare = given.stages.compare
        path = task.target
        photo = photo_swap.ImageSettings(img_path=path, compare=compare, **shared)
        return photo_swap.swap(photo, loaded)
    clip = clip_swap.VideoSettings(
        vid_path=task.target,
        clip=given.clip,
        stages=given.stages,
        encode=given.encode,
        **shared,
    )
    return clip_swap.swap(clip, loaded)


@functools.lru_cache(maxsize=1)
def _networks(given: NetworkSettings) -> networks.Networks:
    """Returns the networks, which are loaded once a process."""
    from facedancer.video_swap import options

    return options.load(given)


def table(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the lines that a terminal shows.

    Args:
        entries: What became of each pair.
    """
    names = [files.in_print(entry["output"]) for entry in entries]
    wide = max(map(len, names), default=0)
    both = zip(entries, names, strict=True)
    lines = [f"{one['status']:<8} {name:<{wide}}  " for one, name in both]
    reasons = [files.in_print(entry.get("reason", "")) for entry in entries]
    return [(a + b).rstrip() for a, b in zip(lines, reasons, strict=True)]


if __name__ == "__main__":
    cli.run(main, ManySettings)
