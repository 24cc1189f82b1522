"""Photo -> `Faces`: the network, its anchors, the detectors."""

from facedancer.retinaface.detector import Detector, DetectorOptions
from facedancer.retinaface.loading import load_detector, load_network
from facedancer.retinaface.mtcnn_detector import MtcnnDetector
from facedancer.retinaface.network import RetinaFace, build_retinaface
from facedancer.retinaface.retinaface_detector import RetinaFaceDetector

__all__ = [
    "Detector",
    "DetectorOptions",
    "MtcnnDetector",
    "RetinaFace",
    "RetinaFaceDetector",
    "build_retinaface",
    "load_detector",
    "load_network",
]
