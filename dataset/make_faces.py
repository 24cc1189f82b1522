"""Writes a data set of made faces, with the truth about each.

    python dataset/make_faces.py --target_dir=made/ --num_identities=100 --num_images=20

One folder a person, and `truth.jsonl`: landmarks, box, pose and more of each picture.
With `--aligned` the pictures are crops as `crop_align` makes them, from the exact
landmarks. With `--num_triplets` shards of (source, target, true swap) are written too.
Started again after it was stopped, the program does what is missing.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from facedancer import cli
from facedancer.dataset.jobs import own_folder, report, workers
from facedancer.dataset.made_faces import made_face, render
from facedancer.dataset.shards import records
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.flags.settings import Checked, choice, ranged
from facedancer.imaging import images
from facedancer.process import progress
from facedancer.storage import claims, files

TRUTH = "truth.jsonl"
FORMATS = ("jpg", "png")
_TRIPLETS_A_SHARD = 256


@dataclasses.dataclass(frozen=True)
class MadeSettings(Checked):
    """What is made.

    Attributes:
        target_dir: Where the pictures go.
        num_identities: Number of people.
        num_images: Pictures of each person.
        image_size: Side of the pictures in pixels.
        aligned: Write aligned crops instead of pictures of head and shoulders.
        masks: Write the classes of each pixel as PNG files into TARGET_DIR.masks.
        num_triplets: Triplets (source, target, true swap), aligned by the target's
            landmarks and the source's own.
        max_yaw: Largest turn to a side in degrees.
        image_format: jpg or png.
        seed: Of everything.
        num_workers: Processes.

    Raises:
        ValueError: If a value is out of its range.
    """

    target_dir: str
    num_identities: int = ranged(100, low=1)
    num_images: int = ranged(10, low=0)
    image_size: int = ranged(256, low=32)
    aligned: bool = False
    masks: bool = False
    num_triplets: int = ranged(0, low=0)
    max_yaw: float = ranged(35.0, low=0.0)
    image_format: str = choice("jpg", FORMATS)
    seed: int = ranged(0, low=0)
    num_workers: int = ranged(1, low=1)


def main(settings: MadeSettings) -> int:
    """Runs the program.

    Args:
        settings: What the flags say.

    Raises:
        InputError: If the target folder holds faces made with other flags.
    """
    write_faces(settings, show_progress=True)
    words = f"{settings.num_identities * settings.num_images} pictures of "
    words += f"{settings.num_identities} made people"
    if settings.num_triplets:
        words += f" and {settings.num_triplets} triplets"
    print(f"{words} in {settings.target_dir}")
    return cli.DONE


def write_faces(settings: MadeSettings, show_progress: bool = False) -> None:
    """Writes pictures and triplets that are missing.

    Args:
        settings: What.
        show_progress: Show a bar with rate and time left.

    Raises:
        InputError: If the target folder holds faces made with other settings, or
            another process is writing there.
    """
    with claims.claimed(settings.target_dir, folder=True):
        _write_faces(settings, show_progress)


def _write_faces(settings: MadeSettings, show_progress: bool) -> None:
    _claim_target(settings)
    paths = [path for person in _people(settings) for path in person[1]]
    files.remove_leftovers(_mask_folder(settings), deep=True)
    truth = report.Report(os.path.join(settings.target_dir, TRUTH), paths)
    written = iter([entry is not None for entry in truth.entries()])
    todo = [
        (settings, number)
        for number, person in _people(settings)
        if not all([next(written) for _ in person])
    ]
    results = workers.run_tasks(_write_person, todo, settings.num_workers)
    total = len(todo) * settings.num_images
    with progress.bar(total=total, unit="face", shown=show_progress) as bar:
        for task, entries, why in results:
            if why:
                raise InputError(f"person {task[1]}: {why}")
            truth.append(entries)
            bar.update(len(entries))
    truth.finish()
    _write_triplets(settings)


def _claim_target(settings: MadeSettings) -> None:
    values = dataclasses.asdict(settings)
    wanted = {k: v for k, v in values.items() if k not in ("target_dir", "num_workers")}
    folder, masks = settings.target_dir, _mask_folder(settings)
    own_folder.claim(folder, "settings.json", wanted, "faces", (masks,))


def _people(settings: MadeSettings) -> Iterator[tuple[int, list[str]]]:
    for number in range(settings.num_identities):
        yield (
            number,
            [
                f"{number:05d}/{image:04d}.{settings.image_format}"
                for image in range(settings.num_images)
            ],
        )


def _write_person(task: tuple[MadeSettings, int]) -> list[dict]:
    """Writes all pictures of one person; returns the truth about them."""
    settings, number = task
    entries = []
    for image in range(settings.num_images):
        face = nth_face(settings, number, image)
        drawn = draw(face, settings.image_size, settings.aligned)
        path = f"{number:05d}/{image:04d}.{settings.image_format}"
        target = os.path.join(settings.target_dir, path)
        images.write_image(target, drawn.image)
        if settings.masks:
            mask = np.repeat(drawn.mask[..., None], 3, axis=2)
            name = pathlib.Path(_mask_folder(settings), path)
            images.write_image(name.with_suffix(".png"), mask)
        entries.append(_truth(path, number, face, drawn))
    return entries


def _mask_folder(settings: MadeSettings) -> str:
    return settings.target_dir.rstrip("/") + ".masks"


def _truth(
    path: str, number: int, face: made_face.MadeFace, drawn: render.Rendered
) -> dict:
    return {
        "path": path,
        "status": "done",
        "identity": number,
        "landmarks": np.round(drawn.landmarks.astype(float), 3).tolist(),
        "box": np.round(drawn.box.astype(float), 3).tolist(),
        "pose": [round(angle, 3) for angle in drawn.pose],
        "occluder": face.scene.occluder,
        "expression": {
            name: round(value, 3)
            for name, value in dataclasses.asdict(face.expression).items()
        },
    }


def nth_face(settings: MadeSettings, number: int, image: int) -> made_face.MadeFace:
    """Returns picture `image` of person `number`.

    Three of four pictures of a person show the same hair.

    Args:
        settings: What is made.
        number: Of the person.
        image: Of the picture.
    """
    base = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    draw_seed = np.random.SeedSequence([settings.seed, number, image])
    hair = made_face.make_hair(base) if image % 4 != 3 else None
    return made_face.make_face(
        made_face.make_identity(base),
        int(draw_seed.generate_state(1)[0]),
        settings.max_yaw,
        hair,
    )


def draw(face: made_face.MadeFace, size: int, aligned: bool) -> render.Rendered:
    """Returns a square picture of a made face, or its aligned crop.

    Args:
        face: What is drawn.
        size: Side in pixels.
        aligned: Cut by the exact landmarks, as `crop_align` does.
    """
    if not aligned:
        return render.render(face, size, size)
    drawn = render.render(face, 2 * size, 2 * size)
    return crop(drawn, alignment.crop_matrix(drawn.landmarks, size), size)


def crop(drawn: render.Rendered, matrix: np.ndarray, size: int) -> render.Rendered:
    """Returns a crop with everything known about it.

    Args:
        drawn: The whole picture.
        matrix: `(2, 3)`, from the picture to the crop.
        size: Side of the crop in pixels.
    """
    height, width = drawn.mask.shape
    nearest = alignment.invert(matrix)
    rows, columns = np.mgrid[:size, :size]
    at = alignment.apply(nearest, np.stack([columns, rows], axis=-1))
    x = np.rint(at[..., 0]).astype(int).clip(0, width - 1)
    y = np.rint(at[..., 1]).astype(int).clip(0, height - 1)
    corners = drawn.box[[0, 1, 2, 1, 0, 3, 2, 3]].reshape(4, 2)
    corners = alignment.apply(matrix, corners)
    return render.Rendered(
        image=alignment.crop(drawn.image, matrix, size),
        mask=drawn.mask[y, x],
        landmarks=alignment.apply(matrix, drawn.landmarks).astype(np.float32),
        box=np.concatenate([corners.min(0), corners.max(0)]).astype(np.float32),
        pose=drawn.pose,
    )


def make_triplet(settings: MadeSettings, number: int) -> dict[str, np.ndarray]:
    """Returns source, target and true swap, aligned `(size, size, 3)` uint8 each.

    The true swap is cut with the target's matrix, so that all but the face agrees.

    Args:
        settings: What is made.
        number: Of the triplet.
    """
    random = np.random.default_rng([settings.seed, 4, number])
    first, second = random.choice(max(2, settings.num_identities), 2, replace=False)
    source = nth_face(settings, int(first), 1000 + int(random.integers(1 << 20)))
    target = nth_face(settings, int(second), 1000 + int(random.integers(1 << 20)))
    size = settings.image_size
    whole = render.render(target, 2 * size, 2 * size)
    matrix = alignment.crop_matrix(whole.landmarks, size)
    swapped = made_face.true_swap(source, target)
    truth = render.render(swapped, 2 * size, 2 * size)
    return {
        "source": draw(source, size, aligned=True).image,
        "target": crop(whole, matrix, size).image,
        "truth": crop(truth, matrix, size).image,
    }


def _write_triplets(settings: MadeSettings) -> None:
    total = -(-settings.num_triplets // _TRIPLETS_A_SHARD)
    for shard in range(total):
        name = f"made_triplets_{shard:05d}-of-{total:05d}.records"
        path = pathlib.Path(settings.target_dir, name)
        if not path.exists():
            numbers = range(shard, settings.num_triplets, total)
            records.write_records(path, (_triplet(settings, n) for n in numbers))


def _triplet(settings: MadeSettings, number: int) -> bytes:
    triplet = make_triplet(settings, number)
    ending = f".{settings.image_format}"
    encoded = {k: images.encode_image(image, ending) for k, image in triplet.items()}
    return records.encode_example(encoded)


if __name__ == "__main__":
    cli.run(main, MadeSettings)
