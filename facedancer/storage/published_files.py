"""Files of weights that others published: names, licences, and how one is fetched.

Nothing is fetched unless `get` is called, and nothing that cannot be checked: an entry
without a revision and a SHA-256 says where its file is, no more. What was checked lies
in the folder that the environment variable `FACEDANCER_WEIGHTS` names.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib

from facedancer.errors import InputError
from facedancer.flags.settings import did_you_mean
from facedancer.storage import files


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """One file on the Hugging Face Hub, or a place to look for one.

    Attributes:
        kind: `"generator"`, `"encoder"` or `"detector"`.
        file: Its name, with its folder in the repository if it lies in one; it goes
            into a folder of that name, too.
        licence: SPDX identifier, of no known licence one of its own (`LicenseRef-`).
        page: Where it and its terms are described.
        belongs: Names of the entries it was trained with.
        repository: `owner/name` on the Hub; empty: not known here.
        revision: Commit of that repository, 40 hexadecimal digits; empty: not known.
        sha256: Of the file, in hexadecimal; empty: not known.
    """

    kind: str
    file: str
    licence: str
    page: str
    belongs: tuple[str, ...] = ()
    repository: str = ""
    revision: str = ""
    sha256: str = ""

    @property
    def is_pinned(self) -> bool:
        """Whether it is known well enough to be fetched and checked."""
        return bool(self.repository and self.revision and self.sha256)


_AUTHORS = "https://huggingface.co/felixrosberg/"
_LICENCE = "CC-BY-NC-SA-4.0"

PUBLISHED = {
    "facedancer_config_c_hq": PublishedFile(
        "generator",
        "FaceDancer_config_c_HQ.h5",
        _LICENCE,
        f"{_AUTHORS}FaceDancer",
        ("arcface_res50", "retinaface_res50"),
        "felixrosberg/FaceDancer",
    ),
    "arcface_res50": PublishedFile(
        "encoder",
        "ArcFace-Res50.h5",
        _LICENCE,
        f"{_AUTHORS}ArcFace",
        repository="felixrosberg/ArcFace",
    ),
    "retinaface_res50": PublishedFile(
        "detector",
        "RetinaFace-Res50.h5",
        _LICENCE,
        f"{_AUTHORS}RetinaFace",
        repository="felixrosberg/RetinaFace",
    ),
    # A judge: none of the packaged networks was trained with it. ArcFace's ResNet-50 on
    # WebFace600K, of InsightFace's pack buffalo_l.
    "arcface_w600k_r50": PublishedFile(
        "encoder",
        "models/buffalo_l/w600k_r50.onnx",
        "LicenseRef-InsightFace-non-commercial-research",
        "https://github.com/deepinsight/insightface#license",
        repository="public-data/insightface",
        revision="33c1063c49c785b7652d3fd529f86fa4f149392b",
        sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    ),
}


def get(name: str, accepted: str = "") -> pathlib.Path:
    """Fetches one file, checks it and returns where it lies.

    A fetch that was broken off goes on where it was.

    Args:
        name: Its key in `PUBLISHED`.
        accepted: The licence that the user accepts.

    Raises:
        InputError: If there is no such file, it is not known well enough to be checked,
            its licence is not accepted, no folder is named, `huggingface_hub` is not
            installed, or what came is not the file.
    """
    if name not in PUBLISHED:
        raise InputError(
            f"There is no published file {name or 'without a name'}"
            f"{did_you_mean(name, PUBLISHED) or '.'} Known: {', '.join(PUBLISHED)}"
        )
    entry = PUBLISHED[name]
    if not entry.is_pinned:
        raise InputError(
            f"{name}: revision and SHA-256 of {entry.file} are not known here, so it "
            f"cannot be fetched and checked. Get it from its authors ({entry.page}), "
            "and name the file with its flag"
        )
    if accepted != entry.licence:
        raise InputError(
            f"{name} is under {entry.licence}, see {entry.page}. Accept that with "
            f"--accept_licence={entry.licence}. Received: {accepted or 'nothing'}"
        )
    folder = os.environ.get("FACEDANCER_WEIGHTS")
    if not folder:
        raise InputError(
            "Where is it to go? Name a folder with the environment variable "
            "FACEDANCER_WEIGHTS"
        )
    path = pathlib.Path(folder, entry.file)
    if not path.is_file():
        _fetch(entry, pathlib.Path(folder))
    digest = files.file_hash(path)
    if digest != entry.sha256:
        raise InputError(
            f"{path}: not the file of the catalogue. Expected SHA-256 {entry.sha256}. "
            f"Received: {digest}. Remove it and try again"
        )
    return path


def _fetch(entry: PublishedFile, folder: pathlib.Path) -> None:
    if importlib.util.find_spec("huggingface_hub") is None:
        raise InputError(
            'Fetching needs huggingface_hub. Install it with: pip install "facedancer'
            '[hub]"'
        )
    # Read when it is imported: no statistics, and nothing outside the folder.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    import httpx
    import huggingface_hub
    from huggingface_hub import errors

    folder.mkdir(parents=True, exist_ok=True)
    try:
        huggingface_hub.hf_hub_download(
            entry.repository,
            entry.file,
            revision=entry.revision,
            local_dir=folder,
        )
    except (
        errors.HfHubHTTPError,
        errors.LocalEntryNotFoundError,
        httpx.HTTPError,
    ) as error:
        raise InputError(
            f"{entry.repository}: {entry.file} could not be fetched ({error}). Try "
            "again: what came is kept"
        ) from None
