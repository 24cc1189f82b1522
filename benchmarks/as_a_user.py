"""Swaps whole photos as a user does, and asks several judges whom they show.

    python benchmarks/as_a_user.py --data_dir=lfw --holdout=600 --pairs=150 \
        --judges="casia.tflite?columns=8-104" --judges="judge_512.onnx?bgr" \
        --pose_path=fsanet-1x1.onnx,fsanet-var.onnx --landmarks_path=yunet.onnx

`facedancer evaluate` measures a generator alone and takes a gallery that holds the
source photo itself. Here all that a swap does by default is at work, every flag of the
swapping programs may be given, and the gallery is also asked for *another* photo of the
source's person, which cannot be pleased by copying a photo's look. Folders of one photo
a person, or of photos alone, are swapped too; the second gallery is then left out.

Judges are `PATH`, with `?bgr` and `?columns=FIRST-LAST` as `facedancer evaluate` takes
them; they are fed (x - 127.5) / 128. Kinds of pairs are told apart by the packaged
parser (glasses) and by the pose networks (turned by more than 25 degrees).
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer import cli
from facedancer.arcface_model import cosine_matrix
from facedancer.dataset.shards import splits
from facedancer.errors import InputError
from facedancer.evaluation.inputs import pairs
from facedancer.evaluation.inputs.photos import Face, Photo
from facedancer.evaluation.instruments import face_mesh, judges
from facedancer.evaluation.instruments.pose_network import PoseNetwork
from facedancer.evaluation.metrics.identity import retrieval_ranks
from facedancer.face import alignment
from facedancer.flags.settings import ranged, repeated, setting
from facedancer.imaging import images
from facedancer.train.refining.measuring import sharpness
from facedancer.video_swap import options
from facedancer.video_swap.settings import PeopleSettings, SharedSettings
from facedancer.video_swap.swapping import source_faces, source_glasses

TURNED = 25.0  # degrees of yaw
PARSED = 64  # pixels, of the crops that are searched for glasses
# Points of MediaPipe's mesh around each eye, at the nose's tip and the mouth's corners.
MESH = ((33, 133), (263, 362), (1,), (61,), (291,))
SIDE = 512  # of the crops whose sharpness is compared, where the photo has it


@dataclasses.dataclass(frozen=True, kw_only=True)
class UserSettings(SharedSettings):
    """What is swapped and who judges; --swap_source is not needed.

    Attributes:
        data_dir: Folder with a folder of photos for each person, or with photos.
        judges: Encoders that say whom a face shows.
        pairs: How many swaps.
        holdout: Take so many people only, those that `facedancer shard --holdout` holds
            out; 0: all.
        train_part: Take those that --holdout does not hold out.
        seed: Of the pairs.
        pose_path: FSA-Net's networks; empty: pose is left out.
        landmarks_path: YuNet, whose landmarks are compared; empty: left out.
        landmarker_path: MediaPipe's Face Landmarker, whose mesh and blendshapes are
            compared; empty: left out.
        save_dir: Folder for pictures of source, target and result side by side.
        output: Also write the figures to this JSON file.
    """

    people: PeopleSettings = PeopleSettings(("each",))
    data_dir: str = setting(essential=True)
    judges: tuple[str, ...] = repeated()
    pairs: int = ranged(150, low=2, essential=True)
    holdout: int = ranged(0, low=0)
    train_part: bool = False
    seed: int = ranged(0, low=0)
    pose_path: tuple[str, ...] = ()
    landmarks_path: str = ""
    landmarker_path: str = ""
    save_dir: str = ""
    output: str = ""


@dataclasses.dataclass(frozen=True)
class Swap:
    """One pair, and what became of it.

    Attributes:
        photos: By role, `(height, width, 3)` uint8: `source`, `target`, `swapped` and,
            where the person has a second photo, `other`.
        faces: The face of each.
    """

    photos: dict[str, np.ndarray]
    faces: dict[str, Face]


def chosen_people(settings: UserSettings) -> dict[str, list[pathlib.Path]]:
    """Returns the photos of the people that may be measured.

    Args:
        settings: What the flags say.
    """
    photos = pairs.photos_by_label(settings.data_dir)
    if not settings.holdout:
        return photos
    order = splits.hash_order(photos, 0)
    parts = order[: settings.holdout], order[settings.holdout :]
    return {name: photos[name] for name in parts[settings.train_part]}


def draw(settings: UserSettings) -> list[dict[str, pathlib.Path]]:
    """Returns the photos of each pair by role; nobody is a source twice.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If there are too few people.
    """
    photos = chosen_people(settings)
    sources = [name for name, paths in sorted(photos.items()) if len(paths) > 1]
    sources = sources or sorted(photos)
    if len(sources) < settings.pairs:
        raise InputError(
            f"{settings.data_dir}: --pairs={settings.pairs} needs as many people to be "
            f"sources. Received: {len(sources)}"
        )
    random = np.random.default_rng(settings.seed)
    drawn = []
    for name in random.permutation(sources)[: settings.pairs].tolist():
        others = sorted(set(photos) - {name})
        target = photos[others[random.integers(len(others))]]
        order = random.permutation(len(photos[name]))
        roles = {
            "source": photos[name][order[0]],
            "target": target[random.integers(len(target))],
        }
        if len(order) > 1:
            roles["other"] = photos[name][order[1]]
        drawn.append(roles)
    return drawn


def swap(settings: UserSettings, roles: dict[str, pathlib.Path], loaded) -> Swap | None:
    """Returns a pair's swap, None where a photo has no face that is found.

    Args:
        settings: What the flags say.
        roles: Photos by role.
        loaded: The networks of the swap.
    """
    photos = {role: images.read_image(path) for role, path in roles.items()}
    people = dataclasses.replace(settings.people, swap_source=(str(roles["source"]),))
    given = dataclasses.replace(settings, people=people)
    try:
        swapper, _ = options.make_swapper(given, loaded=loaded, refiners=("auto",))
    except InputError as error:
        print(f"Left out: {error}")
        return None
    photos["swapped"] = swapper.swap_frame(photos["target"]).image
    faces = {role: main_face(loaded.detector, photo) for role, photo in photos.items()}
    found = {role: face for role, face in faces.items() if face is not None}
    return Swap(photos, found) if len(found) == len(photos) else None


def main_face(detector, photo: np.ndarray) -> Face | None:
    """Returns the face of a photo that a swap takes, None where there is none.

    Args:
        detector: The packaged one.
        photo: `(height, width, 3)` uint8.
    """
    found = detector.detect(photo)
    if not len(found):
        return None
    number = source_faces.pick(found, photo.shape[:2], "main", "")
    known = Photo.of_pixels("", photo)
    return Face(known, found.boxes[number], found.landmarks[number])


def load_judge(text: str):
    """Returns the judge that a flag names.

    Args:
        text: Of `--judges`.

    Raises:
        InputError: If it says what is not known.
    """
    path, *rest = text.split("?")
    given: dict = {"std": (128 / 255,) * 3}
    for word in rest:
        if word == "bgr":
            given["bgr"] = True
        elif word.startswith("columns="):
            given["columns"] = tuple(map(int, word.removeprefix("columns=").split("-")))
        else:
            raise InputError(f"--judges has ?bgr and ?columns=8-104. Received: {text}")
    return judges.load_judge(path, judges.JudgeInput(**given))


def seen_by(instrument, swaps: Sequence[Swap], role: str) -> np.ndarray:
    """Returns what an instrument says of one role of every swap, `(n, d)`.

    Args:
        instrument: A judge or pose network.
        swaps: The swaps.
        role: Whose photo.
    """
    cut = [instrument.cut(one.photos[role], one.faces[role]) for one in swaps]
    return instrument.run(np.stack(cut))


def identity_figures(judge, swaps: Sequence[Swap]) -> dict[str, np.ndarray]:
    """Returns for every swap what a judge says, 1 or 0, and cosines.

    Args:
        judge: The judge.
        swaps: The swaps.
    """
    vectors = {
        role: seen_by(judge, swaps, role) for role in ("source", "target", "swapped")
    }
    of = {
        role: np.diagonal(cosine_matrix(vectors["swapped"], vectors[role]))
        for role in ("source", "target")
    }
    numbers = np.arange(len(swaps))

    def first(gallery: np.ndarray) -> np.ndarray:
        return retrieval_ranks(vectors["swapped"], numbers, gallery, numbers) == 0

    found = {
        "nearer to the source": of["source"] > of["target"],
        "source's photo first": first(vectors["source"]),
    }
    if all("other" in one.photos for one in swaps):
        found["another photo first"] = first(seen_by(judge, swaps, "other"))
    cosines = {f"cosine to the {role}": values for role, values in of.items()}
    return found | cosines


def pose_figures(paths: Sequence[str], swaps: Sequence[Swap]) -> dict[str, np.ndarray]:
    """Returns for every swap how far its head is turned away from the target's.

    Args:
        paths: Of the networks.
        swaps: The swaps.
    """
    network = PoseNetwork(paths)
    target, swapped = (seen_by(network, swaps, role) for role in ("target", "swapped"))
    return {
        "pose, degrees": np.linalg.norm(swapped - target, axis=1),
        "turned": np.abs(target[:, 0]) > TURNED,
    }


def landmark_figures(path: str, swaps: Sequence[Swap]) -> dict[str, np.ndarray]:
    """Returns how far YuNet's five landmarks move, % of the eyes' distance.

    Args:
        path: Of the network.
        swaps: The swaps.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    moved = []
    for one in swaps:
        points = [
            _yunet(path, one.photos[role], one.faces[role])
            for role in ("target", "swapped")
        ]
        if any(part is None for part in points):
            moved.append(np.nan)
            continue
        eyes = np.linalg.norm(points[0][1] - points[0][0])
        apart = np.linalg.norm(points[1] - points[0], axis=1).mean()
        moved.append(100.0 * apart / eyes)
    return {"landmarks moved, %": np.array(moved)}


def mesh_figures(path: str, swaps: Sequence[Swap]) -> dict[str, np.ndarray]:
    """Returns how far the mesh's eyes, nose and mouth move, and expressions are apart.

    Args:
        path: MediaPipe's Face Landmarker.
        swaps: The swaps.
    """
    network = face_mesh.FaceMesh(path)
    found = []
    for role in ("target", "swapped"):
        cut = [network.cut(one.photos[role], one.faces["target"]) for one in swaps]
        mesh, shapes, _ = face_mesh.split(network.run(np.stack(cut)))
        points = [mesh[:, list(part), :2].mean(axis=1) for part in MESH]
        found.append((np.stack(points, axis=1), shapes))
    (before, before_shapes), (after, after_shapes) = found
    eyes = np.linalg.norm(before[:, 1] - before[:, 0], axis=1)
    apart = np.linalg.norm(after - before, axis=2).mean(axis=1)
    return {
        "mesh moved, %": 100.0 * apart / eyes,
        "blendshapes apart": np.linalg.norm(after_shapes - before_shapes, axis=1),
    }


def _yunet(path: str, photo: np.ndarray, face: Face) -> np.ndarray | None:
    height, width = photo.shape[:2]
    detector = cv2.FaceDetectorYN.create(path, "", (width, height), 0.3)
    found = detector.detect(np.ascontiguousarray(photo[..., ::-1]))[1]
    if found is None:
        return None
    points = found[:, 4:14].reshape(-1, 5, 2)
    apart = points.mean(axis=1) - face.landmarks.mean(axis=0)
    return points[np.linalg.norm(apart, axis=1).argmin()]


def look_figures(parser, swaps: Sequence[Swap]) -> dict[str, np.ndarray]:
    """Returns sharpness, of the target's, and who wears glasses.

    Args:
        parser: The packaged one.
        swaps: The swaps.
    """
    ratios = []
    for one in swaps:
        place = one.faces["target"].landmarks
        crops = [_large(one.photos[role], place) for role in ("swapped", "target")]
        ratios.append(sharpness(crops[0]) / sharpness(crops[1]))
    worn = {
        f"glasses on the {role}": source_glasses.fractions(
            parser, np.stack([_crop(one, role, PARSED) for one in swaps])
        )
        > source_glasses.WORN
        for role in ("source", "target")
    }
    return {"sharpness": np.array(ratios)} | worn


def _large(photo: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Cuts a crop as large as the face is in the photo, `SIDE` pixels at most."""
    unit = alignment.crop_matrix(place, SIDE)
    enlarged = np.sqrt(abs(np.linalg.det(unit[:, :2])))
    side = round(SIDE / max(enlarged, 1.0))
    return alignment.crop(photo, alignment.crop_matrix(place, side), side)


def _crop(one: Swap, role: str, side: int, shrink: float = 1.0) -> np.ndarray:
    place = one.faces["target" if role == "swapped" else role].landmarks
    matrix = alignment.crop_matrix(place, side, shrink=shrink)
    return alignment.crop(one.photos[role], matrix, side)


def table(figures: dict[str, dict], kinds: dict[str, np.ndarray]) -> dict[str, dict]:
    """Returns means, of all swaps and of each kind.

    Args:
        figures: Values for every swap, by who measured and what.
        kinds: Whether a swap is of a kind.
    """
    parts = {"all": np.ones(len(next(iter(kinds.values()))), bool)} | kinds
    rows: dict[str, dict] = {}
    for who, values in figures.items():
        for what, one in values.items():
            name = f"{who}: {what}" if who else what
            rows[name] = {
                kind: _shown(one, part) for kind, part in parts.items() if part.any()
            }
    counts = {kind: int(part.sum()) for kind, part in parts.items() if part.any()}
    return {"swaps": counts} | rows


def _shown(values: np.ndarray, part: np.ndarray) -> float:
    mean = float(np.nanmean(values[part].astype(np.float64)))
    return round(100.0 * mean, 1) if values.dtype == bool else round(mean, 3)


def strip(one: Swap, side: int = 256) -> np.ndarray:
    """Returns source, target and result side by side, cut to their faces.

    Args:
        one: The swap.
        side: Pixels of each.
    """
    roles = ("source", "target", "swapped")
    return np.concatenate([_crop(one, role, side, 0.7) for role in roles], axis=1)


def main(settings: UserSettings) -> int:
    """Prints the table and returns the exit status.

    Args:
        settings: What the flags say.
    """
    loaded = options.load(settings.networks)
    made = [swap(settings, roles, loaded) for roles in draw(settings)]
    swaps = [one for one in made if one is not None]
    print(f"{len(swaps)} swaps; {len(made) - len(swaps)} left out or without a face")
    if not swaps:
        raise InputError(f"{settings.data_dir}: nothing could be swapped")
    figures: dict[str, dict] = {"": look_figures(loaded.parser, swaps)}
    if settings.pose_path:
        figures[""] |= pose_figures(settings.pose_path, swaps)
    if settings.landmarks_path:
        figures[""] |= landmark_figures(settings.landmarks_path, swaps)
    if settings.landmarker_path:
        figures[""] |= mesh_figures(settings.landmarker_path, swaps)
    kinds = {
        name: figures[""].pop(name)
        for name in ("glasses on the source", "glasses on the target", "turned")
        if name in figures[""]
    }
    for text in settings.judges:
        name = pathlib.Path(text.split("?")[0]).stem
        figures[name] = identity_figures(load_judge(text), swaps)
    found = table(figures, kinds)
    for name, row in found.items():
        print(f"{name:50}" + "".join(f"{key} {row[key]:<9}" for key in row))
    if settings.output:
        pathlib.Path(settings.output).write_text(json.dumps(found, indent=1) + "\n")
    for number, one in enumerate(swaps if settings.save_dir else ()):
        path = pathlib.Path(settings.save_dir) / f"{number:03d}.png"
        images.write_image(path, strip(one))
    return cli.DONE


if __name__ == "__main__":
    cli.run(main, UserSettings)
