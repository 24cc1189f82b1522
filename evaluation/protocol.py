"""The whole protocol: pairs, swaps, measurements, figures, studies."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from facedancer.errors import InputError
from facedancer.evaluation import options
from facedancer.evaluation.inputs import known_people
from facedancer.evaluation.inputs import pairs as pair_lists
from facedancer.evaluation.inputs.locating import Locator
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.evaluation.instruments import judges
from facedancer.evaluation.measuring import (
    clips,
    experiments,
    figures,
    measure,
    studies,
    swappers,
)
from facedancer.evaluation.options import Loaded
from facedancer.evaluation.plots import charts
from facedancer.evaluation.report import document
from facedancer.evaluation.report.document import Report
from facedancer.evaluation.settings import EvaluateSettings
from facedancer.storage import weights
from facedancer.video_swap.swapping.networks import (
    Networks,
    NetworkSettings,
    load_networks,
)
from facedancer.video_swap.swapping.swapper import SwapSettings

_FEW = 8  # pairs that the costly studies take
_HARDLY = 5.0  # percent of results nearer to the source, below which a note says so


def evaluate(settings: EvaluateSettings) -> document.Report:
    """Returns the report that the settings ask for.

    Args:
        settings: The settings.

    Raises:
        InputError: If an input cannot be used, or the named judge is the generator's
            own.
    """
    pairs = _pairs(settings)
    swapper = _swapper(settings)
    loaded, warning = _with_judge(options.load(settings), swapper, settings)
    name = pathlib.Path(settings.results or settings.swapped_video).name
    result = document.Report(
        swapper=name if swapper is None else swapper.name,
        networks=loaded.networks,
        settings=dataclasses.asdict(settings),
        notes=[*([warning] if warning else []), *loaded.notes],
    )
    if isinstance(swapper, swappers.NetworkSwapper):
        result.networks |= {
            f"swap: {role}": {"name": text}
            for role, text in swapper.networks.names.items()
        }
    if pairs:
        _add_pairs(result, pairs, swapper, loaded, settings)
    if settings.target_video:
        _add_clip(result, swapper, loaded, settings)
    for note in result.notes[:1] if warning else []:
        logging.getLogger("absl").warning("%s", note)
    loaded.tools.cache.save()
    return result


def _with_judge(
    loaded: Loaded, swapper: swappers.Swapper | None, settings: EvaluateSettings
) -> tuple[Loaded, str]:
    """Returns the networks, without a judge where none is fit, and the warning."""
    own = "" if swapper is None else swapper.encoder_name
    judge = "" if loaded.judge is None else loaded.judge.name
    same = weights.same_vectors(judge, own)
    if settings.judge_path or settings.allow_same_judge or not same:
        return loaded, judges.refuse_own(judge, own, settings.allow_same_judge)
    return loaded.without_judge(
        "Not measured: identity, with retrieval, verification and the studies of it. "
        f"The only encoder here, {judge}, is the one the generator was trained with, "
        "and figures by it would be too good. Give another one with --judge_path "
        "(facedancer distill trains one), or --allow_same_judge"
    ), ""


def _pairs(settings: EvaluateSettings) -> list[pair_lists.Pair]:
    if settings.results:
        found = pair_lists.read_results(settings.results)
    elif settings.pairs_csv:
        found = pair_lists.read_pairs(settings.pairs_csv, settings.data_dir)
    elif settings.data_dir:
        photos = pair_lists.photos_by_label(settings.data_dir)
        if settings.known_dir:
            known = known_people.read(settings.known_dir)
            count = settings.pairs or 500
            return known_people.make_pairs(known, photos, count, settings.seed)
        return pair_lists.make_pairs(
            photos, settings.pairs or 500, settings.seed, settings.same_share
        )
    else:
        return []
    return found[: settings.pairs] if settings.pairs else found


def _swapper(settings: EvaluateSettings) -> swappers.Swapper | None:
    """Returns what swaps, None where the results are there already."""
    if settings.results or (
        settings.swapped_video and not (settings.data_dir or settings.pairs_csv)
    ):
        return None
    if settings.swapper == "copy":
        return swappers.CopySwapper()
    if settings.swapper == "paste":
        return swappers.PasteSwapper()
    networks = load_networks(
        NetworkSettings(
            facedancer_path=settings.facedancer_path,
            arcface_path=settings.arcface_path,
            retina_path=settings.retina_path,
            device_id=settings.device_id,
            engine=settings.engine,
        )
    )
    for warning in networks.warnings:
        logging.getLogger("absl").warning("%s", warning)
    try:
        swap_settings = SwapSettings(mask=settings.mask)
    except ValueError as error:
        raise InputError(str(error)) from None
    return _told_swapper(networks, swap_settings, settings.known_dir)


def _told_swapper(
    networks: Networks, swap_settings: SwapSettings, known_dir: str
) -> swappers.Swapper:
    """Returns the swapper for what the generator is told."""
    told, name = networks.contract.identity, networks.names["generator"]
    if told.kind == "vector":
        if known_dir:
            raise InputError(
                "--known_dir is for generators that are told a number or nothing: "
                f"leave it out. Received: {name}, which takes identity vectors"
            )
        return swappers.GeneratorSwapper(networks, told.encoder, swap_settings)
    if not known_dir:
        kinds = {"label": "a person's number", "none": "nothing"}
        raise InputError(
            "A generator that takes no identity vectors is judged by photos of the "
            f"people it knows: give --known_dir. Received: {name}, which is told "
            f"{kinds[told.kind]}"
        )
    numbers = known_people.read(known_dir).numbers(told)
    return swappers.KnownSwapper(networks, numbers, swap_settings)


def _add_pairs(
    result: Report,
    pairs: list[pair_lists.Pair],
    swapper: swappers.Swapper | None,
    loaded: Loaded,
    settings: EvaluateSettings,
) -> None:
    measured = measure.measure(pairs, swapper, loaded.tools)
    if loaded.tools.perception is not None:
        measured.names["perception"] = loaded.tools.perception.name
    result.counts = {
        "asked for": len(pairs),
        "measured": len(measured.pairs),
        "skipped": len(measured.skipped),
    }
    result.notes += [f"Skipped: {line}" for line in measured.skipped[:20]]
    builder = figures.compute(measured, settings.seed, settings.draws, loaded.official)
    if settings.wants("look_alikes") and loaded.judge is not None:
        studies.add_look_alikes(builder, measured)
    result.figures, result.values = builder.figures, builder.values
    nearer = builder.values.get("id_nearer", np.zeros(0))
    if np.isfinite(nearer).any() and np.nanmean(nearer) < _HARDLY:
        result.notes.append(
            "The results still show the people of the targets: only "
            f"{np.nanmean(nearer):.1f} % are nearer to their source"
        )
    result.rows = [
        {
            "source": str(pair.source),
            "target": str(pair.target),
            "source_label": pair.source_label,
            "target_label": pair.target_label,
        }
        for pair in measured.pairs
    ]
    result.studies += _from_measurements(measured, builder, settings)
    if swapper is not None and loaded.judge is not None:
        _add_experiments(result, measured, swapper, loaded, settings)


def _from_measurements(
    measured: measure.Measured, builder: figures.Builder, settings: EvaluateSettings
) -> list[studies.Study]:
    kind = "net" if "pose" in measured.vectors else "pnp"
    judged = "identity" in measured.vectors
    found = [studies.similarity(builder)] if judged else []
    found.append(studies.pose_spread(builder, kind))
    if judged and settings.wants("match_curve"):
        found.append(studies.match_curves(measured))
    if judged and settings.wants("map") and len(measured.pairs) >= 3:
        found += [studies.plane_map(measured, m, settings.seed) for m in settings.maps]
    if judged and settings.wants("failures"):
        likeness = np.where(measured.found, builder.values["id_source"], np.nan)
        title = "Failures: least like the source"
        found.append(studies.failures(measured, likeness, "failures_identity", title))
    if settings.wants("failures"):
        off = -builder.values[f"pose_{kind}_l2"]
        title = "Failures: pose lost (minus degrees)"
        found.append(studies.failures(measured, off, "failures_pose", title))
    return found


def _add_experiments(
    result: Report,
    measured: measure.Measured,
    swapper: swappers.Swapper,
    loaded: Loaded,
    settings: EvaluateSettings,
) -> None:
    judge, locator = loaded.judge, loaded.tools.locator
    if judge is None:
        return
    few = slice(0, _FEW)
    sources, targets = measured.faces["source"][few], measured.faces["target"][few]
    if settings.wants("heat_map"):
        people = _two_people(settings, measured, locator)
        if len(people) == 2:
            result.studies.append(experiments.heat_map(people, swapper, judge, locator))
    if settings.wants("drift"):
        result.studies.append(
            experiments.drift(
                sources, targets, swapper, judge, locator, settings.rounds
            )
        )
    if not settings.wants("interpolation"):
        return
    if not isinstance(swapper, swappers.IdentitySwapper):
        result.notes.append(
            "No interpolation of identity: only a generator told vectors can do it"
        )
    elif len(sources) > 1:
        result.studies.append(
            experiments.interpolation(
                sources[0], sources[1], targets[:4], swapper, judge, locator
            )
        )


def _two_people(
    settings: EvaluateSettings,
    measured: measure.Measured,
    locator: Locator,
    max_count: int = 6,
) -> dict[str, list[Face]]:
    """Returns faces of two people, of those with the most photos."""
    if not settings.data_dir:
        return studies.most_photographed(measured)
    photos: Mapping[str, Sequence[pathlib.Path]]
    photos = pair_lists.photos_by_label(settings.data_dir)
    if settings.known_dir:
        photos = known_people.read(settings.known_dir).photos
    order = sorted(photos, key=lambda label: (-len(photos[label]), label))
    people: dict[str, list[Face]] = {}
    for label in order[:10]:
        found = locator.largest([Photo.of_file(p) for p in photos[label][:max_count]])
        faces = [face for face in found if face is not None]
        if faces and len(people) < 2:
            people[label] = faces
    return people


def _add_clip(
    result: Report,
    swapper: swappers.Swapper | None,
    loaded: Loaded,
    settings: EvaluateSettings,
) -> None:
    judge, locator = loaded.judge, loaded.tools.locator
    face = vector = None
    if settings.swap_source:
        face = locator.largest([Photo.of_file(settings.swap_source)])[0]
        if face is None:
            raise InputError(f"{settings.swap_source}: no face was found")
        if judge is not None:
            vector = judge.run(judge.cut(face.photo.read(), face)[None])[0]
    if settings.swapped_video:
        both = clips.read_both(settings.target_video, settings.swapped_video)
    elif swapper is None or face is None:
        raise InputError("--target_video needs --swapped_video or --swap_source")
    else:
        both = clips.swap_frames(settings.target_video, swapper, face, locator)
    measured = clips.measure(both, locator, judge, vector)
    result.figures += clips.figures(
        measured, "" if judge is None else judge.name, settings.seed
    )
    lines = {
        "difference to the next frame, movement undone (of 255)": {
            "result": measured.swapped_flicker,
            "target": measured.target_flicker,
        }
    }
    text = "Flicker of the result beside the target's own."
    image = charts.over_time(lines)
    result.studies.append(studies.Study("video", "Flicker", text, image, {}))
