"""Photo -> `Faces`: the network, its anchors, the detectors."""

import typing

from facedancer import lazy

if typing.TYPE_CHECKING:
    from facedancer.retinaface.detector import Detector, DetectorOptions
    from facedancer.retinaface.loading import load_detector, load_network
    from facedancer.retinaface.mtcnn_detector import MtcnnDetector
    from facedancer.retinaface.network import RetinaFace, build_retinaface, fold
    from facedancer.retinaface.retinaface_detector import RetinaFaceDetector

__getattr__ = lazy.attributes(
    __name__,
    {
        ".detector": ("Detector", "DetectorOptions"),
        ".loading": ("load_detector", "load_network"),
        ".mtcnn_detector": ("MtcnnDetector",),
        ".network": ("RetinaFace", "build_retinaface", "fold"),
        ".retinaface_detector": ("RetinaFaceDetector",),
    },
)

__all__ = [
    "Detector",
    "DetectorOptions",
    "MtcnnDetector",
    "RetinaFace",
    "RetinaFaceDetector",
    "anchors",
    "api",
    "build_retinaface",
    "fold",
    "load_detector",
    "load_network",
    "loading",
    "portable_network",
]
