"""FaceDancer in Keras 3: find faces, train a swapper, swap faces in a video.

    facedancer.retinaface     photo -> Faces (boxes, five landmarks, scores)
    facedancer.arcface_model  aligned crop -> identity vector and feature taps
    facedancer.models         generators, discriminators, published files, export
    facedancer.dataset        photos -> aligned crops -> TFRecords -> batches
    facedancer.train          the training programs
    facedancer.video_swap     the swapping programs
    facedancer.evaluation     measures of a swapper

In three lines of Python:

    from facedancer import Swapper
    swapper = Swapper()
    swapper.swap("group.jpg", source="me.jpg").save("swapped.png")

and in one each `facedancer.detect`, `align`, `embed` and `evaluate`.

Folder `X/` of the checkout is the package `facedancer.X`. Start at
`video_swap/multi_face_single_source.py` or `train/train.py`.
"""

import importlib as _importlib
import pathlib as _pathlib
import typing as _typing

from facedancer import silence as _silence
from facedancer.process import tensorflow_start as _tensorflow_start

__version__ = "0.1.0"

_silence.silence_libraries()
_tensorflow_start.prepare()

_here = _pathlib.Path(__file__).parent
if not (_here / "models").is_dir():  # a checkout: the folders lie beside this one
    __path__.append(str(_here.parent))


if _typing.TYPE_CHECKING:
    from facedancer.dataset.api import align as align
    from facedancer.evaluation.api import evaluate as evaluate
    from facedancer.retinaface.api import detect as detect
    from facedancer.video_swap.api import Identity as Identity
    from facedancer.video_swap.api import Swapper as Swapper
    from facedancer.video_swap.api_embed import embed as embed

_IN_PYTHON = {
    "Identity": "video_swap.api",
    "Swapper": "video_swap.api",
    "align": "dataset.api",
    "detect": "retinaface.api",
    "embed": "video_swap.api_embed",
    "evaluate": "evaluation.api",
}


def __getattr__(name: str) -> object:
    """Imports what is used from Python when it is asked for: with it come libraries."""
    if name not in _IN_PYTHON:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_importlib.import_module(f"{__name__}.{_IN_PYTHON[name]}"), name)
