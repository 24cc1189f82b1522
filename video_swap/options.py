"""Flags that the swapping programs share, and the swapper they describe."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pathlib

from absl import flags

from facedancer import cli, files
from facedancer.errors import InputError
from facedancer.video_swap.provenance import labels
from facedancer.video_swap.swapping import identities, networks
from facedancer.video_swap.swapping.swapper import FaceSwapper, SwapSettings


def define_flags(flag_values: flags.FlagValues) -> None:
    """Defines the flags of networks, faces and provenance.

    Args:
        flag_values: Where the flags are defined.
    """
    flags.DEFINE_multi_string(
        "swap_source",
        [],
        "Photo of the person whose face is put in, or a folder of photos of that "
        "person; may be given several times, then the mean identity is taken.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "map",
        [],
        "REFERENCE=SOURCE: the person on the photo REFERENCE gets the face of SOURCE, "
        "a photo or folder: the one face of a frame that is most like it. May be given "
        "several times. Nobody else is swapped, unless --swap_source is given too.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "only",
        [],
        "Photo of a person: nobody else gets the face of --swap_source, but the one "
        "face of a frame that is most like it. May be given several times.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "except",
        [],
        "Photo of a person who is never swapped, and with this person every face that "
        "--threshold does not tell apart, unless it is clearly more like a photo of "
        "--map or --only. Goes before --faces. May be given several times.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "align_source",
        True,
        "Search the source photos for a face and align it; without, they must be "
        "aligned crops.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "report", "", "Write a report to this JSON file.", flag_values=flag_values
    )
    for settings in (networks.NetworkSettings, SwapSettings, labels.LabelSettings):
        cli.define_from(settings, flag_values)


def make_swapper(flag_values: flags.FlagValues) -> tuple[FaceSwapper, dict[str, str]]:
    """Returns the swapper that the flags describe, and the names of its networks.

    Args:
        flag_values: Parsed flags of `define_flags`.

    Raises:
        InputError: If a flag, a photo or a network cannot be used.
    """
    settings = cli.settings_from(SwapSettings, flag_values)
    network_settings = cli.settings_from(networks.NetworkSettings, flag_values)
    _check_sources(flag_values)
    loaded = networks.load_networks(network_settings)
    for warning in loaded.warnings:
        logging.getLogger("absl").warning(warning)
    reader = identities.IdentityReader(
        loaded.detector, loaded.embedder, flag_values["align_source"].value
    )
    rules = make_rules(flag_values, reader)
    swapper = FaceSwapper(
        loaded.engine,
        loaded.contract,
        loaded.detector,
        loaded.embedder,
        rules,
        settings,
        loaded.parser,
    )
    return swapper, loaded.names


def _check_sources(flag_values):
    """Refuses what can be refused before the networks are loaded."""
    if not flag_values["swap_source"].value and not flag_values["map"].value:
        raise InputError(
            "Whose face is to be put in? Give --swap_source=PHOTO or "
            "--map=REFERENCE=SOURCE"
        )
    if flag_values["only"].value and not flag_values["swap_source"].value:
        raise InputError(
            "--only says who gets the face of --swap_source, so that is needed too. "
            f"Received: --only={flag_values['only'].value[0]} without --swap_source. "
            "Who is not named with --map is left alone anyway"
        )
    if flag_values["report"].value:
        check_place("report", flag_values["report"].value)
    for name in ("swap_source", "only", "except"):
        for path in flag_values[name].value:
            if not pathlib.Path(path).exists():
                raise InputError(f"--{name}: {path}: no such file or folder")
    for pair in flag_values["map"].value:
        for path in _split(pair):
            if not pathlib.Path(path).exists():
                raise InputError(f"--map: {path}: no such file or folder")


def check_place(name: str, path: str | os.PathLike) -> None:
    """Refuses a place where no file can be made, before any work is done.

    Args:
        name: The flag.
        path: Its value.

    Raises:
        InputError: If a folder has that name, or the next folder above that exists is a
            file or cannot be written.
    """
    path = pathlib.Path(path)
    above = next(place for place in path.absolute().parents if os.path.exists(place))
    writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
    if path.is_dir() or not writable:
        raise InputError(
            f"--{name} must be a file in a folder that can be written. Received: {path}"
        )


def _split(pair):
    reference, sign, source = pair.partition("=")
    if not (sign and reference and source):
        raise InputError(f"--map must be REFERENCE=SOURCE. Received: {pair}")
    return reference, source


def make_rules(
    flag_values: flags.FlagValues, reader: identities.IdentityReader
) -> list[identities.Rule]:
    """Returns who becomes whom.

    Args:
        flag_values: Parsed flags of `define_flags`.
        reader: Turns photos into identities.

    Raises:
        InputError: If a photo has no face.
    """
    rules = []
    for pair in flag_values["map"].value:
        reference, source = _split(pair)
        rules.append(
            identities.Rule(pair, _reference(reader, reference), reader.read([source]))
        )
    for path in flag_values["except"].value:
        rules.append(identities.Rule(f"except {path}", _reference(reader, path), None))
    sources = flag_values["swap_source"].value
    if sources:
        source, name = reader.read(sources), ", ".join(sources)
        only = flag_values["only"].value
        rules += [
            identities.Rule(f"{path}={name}", _reference(reader, path), source)
            for path in only
        ] or [identities.Rule(name, None, source)]
    return rules


def _reference(reader, path):
    """A reference is a photo to be searched, also where sources are aligned crops."""
    return identities.IdentityReader(reader.detector, reader.embedder).read([path])


def fingerprint(flag_values: flags.FlagValues, swapper: FaceSwapper, names) -> str:
    """Returns text that differs wherever two runs would give different results.

    Args:
        flag_values: Parsed flags of `define_flags`.
        swapper: The swapper they describe.
        names: The names of its networks.
    """
    digest = hashlib.sha256()
    for rule in swapper.rules:
        for vector in (rule.reference, rule.source):
            digest.update(b"-" if vector is None else vector.tobytes())
    network_settings = cli.settings_from(networks.NetworkSettings, flag_values)
    path = network_settings.facedancer_path
    stat = os.stat(path) if path else None
    known = (stat.st_size, stat.st_mtime_ns) if stat else ()
    parts = (network_settings, swapper.settings, names, known, digest.hexdigest())
    return "\n".join(map(str, parts))


def write_report(flag_values: flags.FlagValues, report: dict) -> None:
    """Writes the report if the flags ask for one.

    Args:
        flag_values: Parsed flags of `define_flags`.
        report: What is ready for JSON.
    """
    path = flag_values["report"].value
    if path:
        text = json.dumps(report, indent=2, ensure_ascii=False)
        files.write_atomic(path, text.encode())


def default_output(path: str | os.PathLike, ending: str) -> pathlib.Path:
    """Returns `results/<name>_swapped<ending>`.

    Args:
        path: The input.
        ending: With its dot.
    """
    return pathlib.Path("results") / f"{pathlib.Path(path).stem}_swapped{ending}"
