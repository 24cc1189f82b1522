"""The catalogue of weights the programs use when no path is given.

A file is looked for in the folder that the environment variable
`FACEDANCER_WEIGHTS` names, then inside the package. Nothing is ever downloaded.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from facedancer.errors import InputError
from facedancer.flags.settings import did_you_mean
from facedancer.storage import files

PACKAGED = pathlib.Path(__file__).parents[1] / "pretrained"

_FLAGS = {
    "generator": "--facedancer_path",
    "encoder": "--arcface_path",
    "detector": "--retina_path",
    "parser": "--parsing_path",
    "refiner": "--refiner_path",
}


@dataclasses.dataclass(frozen=True)
class Weights:
    """One file of weights.

    Attributes:
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or
            `"refiner"`.
        file: Its name.
        sha256: Of the file, in hexadecimal.
        licence: SPDX identifier.
        trained_on: The data, in words.
        card: The page in `docs/` with figures and the commands that made it.
        portable: Name of the same network as a file that needs no Keras, see
            `facedancer.inference.portable`.
        portable_sha256: Of that file.
        note: What a user should know of their quality, in one or two sentences.
        helper: Name of a file that belongs to it, such as how glasses change an
            encoder's vectors; empty: none.
        helper_sha256: Of that file.
        encoders: Of an encoder, names with hashes: its own, then of those before it
            whose identity vectors mean the same.
    """

    kind: str
    file: str
    sha256: str
    licence: str
    trained_on: str
    card: str
    portable: str
    portable_sha256: str
    note: str = ""
    helper: str = ""
    helper_sha256: str = ""
    encoders: tuple[str, ...] = ()

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of its files by their names."""
        own = {self.file: self.sha256, self.portable: self.portable_sha256}
        return own | ({self.helper: self.helper_sha256} if self.helper else {})


_LFW_AND_CELEBA = (
    "LFW, deep-funneled, 7,032 photos of 4,320 people, and 8,157 of CelebA, which are "
    "for non-commercial research only: ask what that means for other uses; 600 people "
    "of the one and 100 of the other held out"
)

CATALOGUE = {
    "facedancer_lite_96": Weights(
        kind="generator",
        file="facedancer_lite_96.keras",
        sha256="f963e559dcc1d716438160ad0ac55461baa45883351fef9ae420146d383002ca",
        licence="Apache-2.0",
        trained_on=_LFW_AND_CELEBA,
        card="docs/model_cards/facedancer_lite_96.md",
        portable="facedancer_lite_96.onnx",
        portable_sha256="3c4776f84595b63d0d282d4fd77016007747cfd70baac2d11499f6132616263a",
        note="The packaged generator is small: 96 pixels, trained for hours on two CPU "
        "cores. It keeps pose, light and expression; most results are nearer to the "
        "source's person than to the target's. Train your own for large faces.",
    ),
    "mobilefacenet_112": Weights(
        kind="encoder",
        file="mobilefacenet_112.keras",
        sha256="8a6aa071b92887e78ce0b4434c4df6d65c9627f807be36ae408ac9ccc55f6736",
        licence="Apache-2.0",
        trained_on=_LFW_AND_CELEBA,
        card="docs/model_cards/mobilefacenet_112.md",
        portable="mobilefacenet_112.onnx",
        portable_sha256="b5ab061bfd4bd6bb92895fc069decdfbd851838b02731e283d2db236ed6b689f",
        encoders=("mobilefacenet@4f8bba57", "mobilefacenet@05295e97"),
        helper="glasses_mobilefacenet_4f8bba57.npz",
        helper_sha256="1925ae66524e9690bc144ea6e2657312ab584993ff188123e20eef8abdc6c1ad",
    ),
    "retinaface_mobilenet025": Weights(
        kind="detector",
        file="retinaface_mobilenet025.keras",
        sha256="2186319ec0ef0aefa5d8e26dbe42c88594e25ee344bd1c71a8922308bb9d01da",
        licence="Apache-2.0",
        trained_on="scenes put together from 7,032 photos of Labeled Faces in the Wild "
        "and 400 of CelebAMask-HQ; 600 people and 120 photos held out",
        card="docs/model_cards/retinaface_mobilenet025.md",
        portable="retinaface_mobilenet025.onnx",
        portable_sha256="9352f7d663df96cc167809753664355ab6f0a7d4134e7d216ccfb4918c21f13a",
    ),
    "face_parser_96": Weights(
        kind="parser",
        file="face_parser_96.keras",
        sha256="55b216515ae1588214b8db30ceb8ee3ae9e8bb0221abf59c6f74210fcebc95aa",
        licence="Apache-2.0",
        trained_on="460 photos of CelebAMask-HQ, which are for non-commercial research "
        "only: ask what that means for other uses; 60 held out",
        card="docs/model_cards/face_parser_96.md",
        portable="face_parser_96.onnx",
        portable_sha256="e1caa79b486a7dde2187d355b750d148d1eee93c92eb9e5ab787f9773077bb1b",
    ),
    "face_refiner_256": Weights(
        kind="refiner",
        file="face_refiner_256.keras",
        sha256="816761a5f80590cea809ab28fc9a85a2dd731779587f707c91e83f109752c0c6",
        licence="Apache-2.0",
        trained_on="457 photos of CelebAMask-HQ and 1,501 of CelebA, which are for "
        "non-commercial research only: ask what that means for other uses; 60 photos "
        "and 100 people held out",
        card="docs/model_cards/face_refiner_256.md",
        portable="face_refiner_256.onnx",
        portable_sha256="65508acf47d4b738c25cf2c63dd7b3f0364179cff6085c9a830dfbf22af6fbd3",
    ),
}


def find(kind: str) -> pathlib.Path:
    """Returns the file of the catalogue's weights of one kind.

    Args:
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or
            `"refiner"`.

    Raises:
        InputError: If there is none; the text names the flag that takes a file.
        ValueError: If the kind is unknown.
    """
    if kind not in _FLAGS:
        raise ValueError(
            f"`kind` must be one of {sorted(_FLAGS)}. Received: kind={kind!r}"
        )
    return _where(kind, [one for one in CATALOGUE.values() if one.kind == kind])


def find_portable(kind: str) -> pathlib.Path:
    """Returns the file of the catalogue's weights of one kind that needs the fewest.

    That is the portable one; in a folder that holds the `.keras` file only, that one.

    Args:
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or
            `"refiner"`.

    Raises:
        InputError: If there is none; the text names the flag that takes a file.
    """
    entries = [one for one in CATALOGUE.values() if one.kind == kind]
    for folder in _folders():
        for entry in entries:
            for name in (entry.portable, entry.file):
                if (folder / name).is_file():
                    return folder / name
    return _where(kind, entries)


def find_named(kind: str, name: str) -> pathlib.Path:
    """Returns the file of one entry of the catalogue.

    Args:
        kind: `"generator"`, `"encoder"`, `"detector"`, `"parser"` or
            `"refiner"`.
        name: Its key in `CATALOGUE`.

    Raises:
        InputError: If there is no such entry, or its file is not there.
    """
    known = {key: one for key, one in CATALOGUE.items() if one.kind == kind}
    if name not in known:
        raise InputError(
            f"There is no {kind} {name} in the catalogue{did_you_mean(name, known)} "
            f"Known: {', '.join(known)}"
        )
    return _where(kind, [known[name]])


def _where(kind: str, entries: Sequence[Weights]) -> pathlib.Path:
    for entry in entries:
        for folder in _folders():
            if (folder / entry.file).is_file():
                return folder / entry.file
    names = ", ".join(entry.file for entry in entries) or "none in the catalogue"
    raise InputError(
        f"No {kind} weights found ({names}). Give a file with {_FLAGS[kind]}, or a "
        "folder that holds it with the environment variable FACEDANCER_WEIGHTS"
    )


def same_vectors(one: str, other: str) -> bool:
    """Tells whether a generator trained with one encoder understands another's vectors.

    Args:
        one: `name_with_hash` of an encoder.
        other: The same of another.
    """
    families = (entry.encoders for entry in CATALOGUE.values())
    return one == other or any(one in f and other in f for f in families)


def location(file: str) -> pathlib.Path | None:
    """Returns where a file of the catalogue lies, None if nowhere.

    Args:
        file: Its name.
    """
    candidates = (folder / file for folder in _folders())
    return next((path for path in candidates if path.is_file()), None)


def available(kind: str) -> bool:
    """Tells whether `find` would return a file.

    Args:
        kind: See `find`.
    """
    try:
        find(kind)
    except InputError:
        return False
    return True


def note(kind: str) -> str:
    """Returns what a user should know of the weights that `find` gives.

    Args:
        kind: See `find`.
    """
    name = find(kind).name
    return next(entry.note for entry in CATALOGUE.values() if entry.file == name)


def _folders() -> list[pathlib.Path]:
    named = os.environ.get("FACEDANCER_WEIGHTS")
    return ([pathlib.Path(named)] if named else []) + [PACKAGED]


def verify(entry: Weights, path: pathlib.Path) -> None:
    """Checks a file against the catalogue.

    Args:
        entry: What the catalogue says.
        path: The file.

    Raises:
        InputError: If the content is another.
    """
    found = files.file_hash(path)
    expected = entry.digests.get(path.name, entry.sha256)
    if found != expected:
        raise InputError(
            f"{path}: not the file of the catalogue. Expected SHA-256 {expected}. "
            f"Received: {found}"
        )
