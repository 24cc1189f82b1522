"""Photo -> `Faces`: the network, its anchors, the detectors."""

from facedancer.retinaface.detector import Detector, DetectorOptions
from facedancer.retinaface.loading import load_detector
from facedancer.retinaface.mtcnn_detector import MtcnnDetector

__all__ = ["Detector", "DetectorOptions", "MtcnnDetector", "load_detector"]
