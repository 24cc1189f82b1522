"""The detector that runs a RetinaFace network."""

from __future__ import annotations

import functools
import typing

import numpy as np

from facedancer.face.boxes import fraction_inside, overlap
from facedancer.face.faces import Faces, concatenate, rescale
from facedancer.retinaface import anchors, suppression
from facedancer.retinaface.detector import Detector, DetectorOptions, scaled
from facedancer.retinaface.portable_network import PortableRetinaFace

if typing.TYPE_CHECKING:
    from facedancer.retinaface.network import RetinaFace

MULTIPLE = 32  # the coarsest stride: images are padded to whole cells
CANDIDATES = 5000  # the best anchors that suppression looks at
# Longer sides of a face between which half the size begins to show it better.
LARGE = (200.0, 280.0)
SAME_FACE = 0.5  # overlap of its boxes in both looks
PART = 0.6  # fraction of a find inside a large face from which it is none of its own
# The published program keeps everything above this.
ROWS_SCORE, ROWS_OVERLAP = 0.02, 0.4


class RetinaFaceDetector(Detector):
    """Runs RetinaFace on photos; called, it gives the rows of the published model.

    Args:
        network: What `build_retinaface` or a reader gave. `detect` runs its folded
            form, made at the first photo: it does not see later changes of weights. Or
            its portable form, which is folded already.
        options: How to search.
    """

    def __init__(
        self,
        network: RetinaFace | PortableRetinaFace,
        options: DetectorOptions | None = None,
    ) -> None:
        super().__init__(options)
        self.network = network
        self.name = f"retinaface-{network.get_config()['backbone']}"

    @functools.cached_property
    def _folded(self) -> RetinaFace | PortableRetinaFace:
        if isinstance(self.network, PortableRetinaFace):
            return self.network
        from facedancer.retinaface.network import fold  # brings Keras along

        return fold(self.network)

    def _search(self, batch: np.ndarray, min_side: float) -> list[Faces]:
        found = self._find(batch)
        large = [i for i, faces in enumerate(found) if (faces.sides > LARGE[0]).any()]
        if self.options.second_look and large and max(batch.shape[1:3]) > LARGE[0]:
            small = np.stack([scaled(batch[index], 0.5) for index in large])
            again = self._search(small, min_side / 2)
            for index, faces in zip(large, again, strict=True):
                faces = rescale(faces, small.shape[1:3], batch.shape[1:3])
                found[index] = _merge(found[index], faces)
        return found

    def _find(self, batch: np.ndarray) -> list[Faces]:
        padded = self._pad(batch)
        outputs = self._folded.predict_on_batch(padded)
        scores = face_scores(outputs["classes"])
        anchor = anchors.make_anchors(*padded.shape[1:3])
        return [
            self._faces(score, boxes, points, anchor)
            for score, boxes, points in zip(
                scores, outputs["boxes"], outputs["landmarks"], strict=True
            )
        ]

    def _pad(self, batch: np.ndarray) -> np.ndarray:
        """Pads below and to the right with the colour that the network sees as 0."""
        n, height, width, _ = batch.shape
        size = [-(-side // MULTIPLE) * MULTIPLE for side in (height, width)]
        padded = np.empty((n, *size, 3), np.float32)
        config = self.network.get_config()
        colour = (127.5,) * 3 if config["signed"] else config["mean"][::-1]
        padded[:, height:] = padded[:, :height, width:] = colour
        padded[:, :height, :width] = batch
        return padded

    def _faces(
        self,
        scores: np.ndarray,
        boxes: np.ndarray,
        points: np.ndarray,
        anchor: np.ndarray,
    ) -> Faces:
        keep = _best(scores, self.options.score_threshold)
        boxes = anchors.decode_boxes(boxes[keep], anchor[keep])
        stay = suppression.suppress(boxes, scores[keep], self.options.nms_threshold)
        points = anchors.decode_landmarks(points[keep], anchor[keep])
        if self.options.vote:
            points = suppression.vote(points, boxes, scores[keep], stay)
        else:
            points = points[stay]
        return Faces(boxes[stay], points, scores[keep][stay])

    def rows(self, image: np.ndarray) -> np.ndarray:
        """Returns faces in the published row format, at the size given.

        Args:
            image: `(height, width, 3)` RGB in [0, 255].

        Returns:
            `(n, 16)` float32, best first: box `x_min, y_min, x_max, y_max` and `x, y`
            of five landmarks, all relative to width and height; 1; score above 0.02.
        """
        image = np.asarray(image, np.float32)[None]
        height, width = image.shape[1:3]
        outputs = self.network.predict_on_batch(image)
        scores = face_scores(outputs["classes"])[0]
        keep = _best(scores, ROWS_SCORE)
        anchor = anchors.make_anchors(height, width)[keep]
        boxes = anchors.decode_boxes(outputs["boxes"][0][keep], anchor)
        points = anchors.decode_landmarks(outputs["landmarks"][0][keep], anchor)
        stay = suppression.suppress(boxes, scores[keep], ROWS_OVERLAP)
        pixels = np.concatenate([boxes, points.reshape(-1, 10)], axis=1)[stay]
        relative = pixels / np.tile(np.array([width, height], np.float32), 7)
        ones = np.ones((len(stay), 1), np.float32)
        return np.concatenate([relative, ones, scores[keep][stay, None]], axis=1)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns `rows` for a batch of one, as the published model is called.

        Args:
            image: `(1, height, width, 3)` RGB in [0, 255].

        Raises:
            ValueError: If it is not a batch of one image.
        """
        if np.ndim(image) != 4 or len(image) != 1:
            raise ValueError(
                "The detector is called with one image of shape (1, height, width, 3). "
                f"Received: shape {np.shape(image)}"
            )
        return self.rows(np.asarray(image)[0])


def face_scores(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax of the face class.

    Args:
        logits: `(..., 2)`, background and face.
    """
    difference = np.asarray(logits[..., 0], np.float32) - logits[..., 1]
    return 1.0 / (1.0 + np.exp(np.clip(difference, -80.0, 80.0)))


def _merge(near: Faces, far: Faces) -> Faces:
    """Large faces as half the size shows them, the others as the picture itself does.

    Between the two there is a slow change, as a face may grow from frame to frame. A
    face too large for the network has finds on its parts, which go.
    """
    far = far[far.sides > LARGE[0]]
    overlaps = overlap(far.boxes[:, None], near.boxes)
    weight = np.interp(far.sides, LARGE, (0.0, 1.0)).astype(np.float32)
    weight[overlaps.max(axis=1) <= SAME_FACE] = 1.0
    seen = _blend(near[overlaps.argmax(axis=1)], far, weight)
    inside = fraction_inside(near.boxes[:, None], far.boxes)
    apart = inside.max(axis=1, initial=0.0) <= PART
    return concatenate([seen, near[apart & (near.sides <= LARGE[1])]])


def _blend(faces: Faces, others: Faces, weight: np.ndarray) -> Faces:
    """From the first, where the weight is 0, to the others, where it is 1."""
    return Faces(
        faces.boxes + weight[:, None] * (others.boxes - faces.boxes),
        faces.landmarks + weight[:, None, None] * (others.landmarks - faces.landmarks),
        faces.scores + weight * (others.scores - faces.scores),
    )


def _best(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices above the threshold; the best where there are too many to compare."""
    keep = np.flatnonzero(scores > threshold)
    if len(keep) > CANDIDATES:
        keep = keep[np.argpartition(-scores[keep], CANDIDATES)[:CANDIDATES]]
    return keep
