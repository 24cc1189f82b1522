"""Detectors that need no weights, in a file that worker processes import quickly."""

import os

import cv2
import numpy as np

from facedancer.face.faces import Faces

MARK = (255, 0, 255)  # where the detector finds a face: a box of this colour


class BoxDetector:
    """Finds boxes of one colour and puts the ArcFace landmarks into them."""

    name = "boxes"

    def detect_batch(self, photos):
        return [self.detect(photo) for photo in photos]

    def detect(self, photo):
        mask = (np.abs(photo.astype(int) - MARK).max(-1) < 60).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        boxes = [row[:4] for row in stats[1:count] if row[4] > 80]
        if not boxes:
            return Faces.empty()
        boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in boxes], np.float32)
        unit = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
        size = boxes[:, None, 2:] - boxes[:, None, :2]
        scores = 0.6 + 0.3 * boxes[:, 0] / photo.shape[1]
        return Faces(boxes, boxes[:, None, :2] + unit * size, scores)


class FragileDetector(BoxDetector):
    """A worker dies when it sees a nearly black photo."""

    def detect(self, photo):
        if photo.max() < 16:
            os._exit(9)
        return super().detect(photo)
