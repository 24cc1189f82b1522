"""A frozen face detector: where it sees the five landmarks of aligned crops."""

from __future__ import annotations

import dataclasses

import numpy as np
from keras import ops

from facedancer.face.alignment import Alignment
from facedancer.face.boxes import overlap
from facedancer.networks.tensors import Tensor
from facedancer.retinaface import RetinaFace, anchors, fold, load_network
from facedancer.storage import weights
from facedancer.train.frozen.teachers import View, resample

SIDE = 96  # pixels, to which views are brought
BORDER = 16  # pixels of grey around them: faces are looked for inside of pictures
# Overlap with the box of the face from which on an anchor is asked.
FITTING = 0.4
# Width and height of that box around the middle of the landmarks, in eye distances.
BOX = (2.3, 3.0)


class FacePoints:
    """Finds the landmarks of views in which they lie where the template says.

    Nothing is searched: the anchors around the place of the face are asked where they
    see the landmarks, and each counts as much as it is sure that there is a face.

    Args:
        network: The detector; it is not trained.
        aligned: How the crops are aligned; views show the template, whatever `shrink`.

    Attributes:
        network: The detector, its batch norms folded.
        eye_distance: Between the eyes of the template, pixels of the detector.
    """

    def __init__(self, network: RetinaFace, aligned: Alignment) -> None:
        self.network = fold(network)
        self.network.trainable = False
        points = dataclasses.replace(aligned, shrink=1.0).landmarks(SIDE) + BORDER
        self.eye_distance = float(np.linalg.norm(points[1] - points[0]))
        middle, half = points.mean(axis=0), self.eye_distance * np.array(BOX) / 2
        box = np.concatenate([middle - half, middle + half])
        found = anchors.make_anchors(SIDE + 2 * BORDER, SIDE + 2 * BORDER)
        corners = anchors.decode_boxes(np.zeros_like(found), found)
        self._asked = np.flatnonzero(overlap(box[None], corners) > FITTING)
        self._anchors = found[self._asked]

    def __call__(self, image_signed: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Returns where each anchor sees the landmarks, and how much it counts.

        Args:
            image_signed: `(batch, size, size, 3)` in [-1, 1].
            view: Which part of them is looked at: about the template.

        Returns:
            `(batch, anchors, 5, 2)` float32, x and y in eye distances; gradients flow
            through. `(batch, anchors)` float32, 1 in all.
        """
        image = resample(ops.cast(image_signed, "float32"), view, SIDE)
        around = (BORDER, BORDER)
        image = ops.pad(image, ((0, 0), around, around, (0, 0)))
        outputs = self.network(127.5 * (image + 1.0), training=False)
        classes, offsets = (
            ops.take(outputs[name], self._asked, axis=1)
            for name in ("classes", "landmarks")
        )
        surely = ops.softmax(classes)[..., 1]
        surely = surely / ops.sum(surely, axis=1, keepdims=True)
        offsets = ops.reshape(offsets, (-1, len(self._asked), 5, 2))
        centres = self._anchors[:, None, :2] / self.eye_distance
        scale = anchors.VARIANCES[0] * self._anchors[:, None, 2:] / self.eye_distance
        return centres + offsets * scale, surely


def load(aligned: Alignment) -> FacePoints:
    """Returns the packaged detector for the crops of a training.

    Args:
        aligned: How they are aligned.

    Raises:
        InputError: If there is none.
    """
    return FacePoints(load_network(weights.find("detector")), aligned)
