"""FaceDancer in Keras 3: find faces, train a swapper, swap faces in a video.

    facedancer.retinaface     photo -> Faces (boxes, five landmarks, scores)
    facedancer.arcface_model  aligned crop -> identity vector and feature taps
    facedancer.models         generators, discriminators, published files, export
    facedancer.dataset        photos -> aligned crops -> TFRecords -> batches
    facedancer.train          the training programs
    facedancer.video_swap     the swapping programs
    facedancer.evaluation     measures of a swapper

Folder `X/` of the checkout is the package `facedancer.X`. Start at
`video_swap/multi_face_single_source.py` or `train/train.py`.
"""

import pathlib as _pathlib

__version__ = "0.1.0"

_here = _pathlib.Path(__file__).parent
if not (_here / "models").is_dir():  # a checkout: the folders lie beside this one
    __path__.append(str(_here.parent))
