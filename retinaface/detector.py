"""What every detector does: scale to the working size, search, scale back, filter."""

from __future__ import annotations

import abc
import collections
import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from facedancer.face import outlines, rotated_search
from facedancer.face.faces import Faces, rescale


@dataclasses.dataclass(frozen=True)
class DetectorOptions:
    """How to search, the same for every detector.

    Attributes:
        score_threshold: Smallest score of a face that is returned, in [0, 1].
        working_size: The longer side of the image while it is searched, in pixels; a
            larger image is made smaller first. 0 searches at full size.
        min_face: Smallest longer side of a face box, in pixels of the given image.
        nms_threshold: Overlap (intersection over union) from which the weaker of two
            boxes is dropped.
        enlarge: Whether a smaller image is made as large as `working_size`.
        batch_size: Images searched in one call of the network.
        turned: Whether to search the image also turned by 90, 180 and 270 degrees, for
            faces that lie on their side or stand on their head. Four times the work,
            and with `mtcnn` more finds that are no faces.
        vote: Whether all boxes of RetinaFace on a face say together where its landmarks
            lie, instead of the best box alone.
        second_look: Whether RetinaFace searches an image in which it finds a face
            larger than 200 pixels once more at half the size, and so on, and takes its
            large faces from there: it knows few that fill its largest anchors.
        drop_ghosts: Whether finds that lie on surer ones, such as those between two
            heads, are dropped (`facedancer.face.outlines`).

    Raises:
        ValueError: If a value lies outside its range.
    """

    score_threshold: float = 0.5
    working_size: int = 640
    min_face: float = 0.0
    nms_threshold: float = 0.4
    enlarge: bool = False
    batch_size: int = 8
    turned: bool = False
    vote: bool = True
    second_look: bool = True
    drop_ghosts: bool = True

    def __post_init__(self) -> None:
        for name in ("score_threshold", "nms_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(
                    f"`{name}` must lie in [0, 1]. Received: {getattr(self, name)}"
                )
        for name, minimum in (("working_size", 0), ("min_face", 0), ("batch_size", 1)):
            if getattr(self, name) < minimum:
                raise ValueError(
                    f"`{name}` must be at least {minimum}. "
                    f"Received: {getattr(self, name)}"
                )


class Detector(abc.ABC):
    """Finds faces and their five landmarks in photos.

    Args:
        options: How to search.

    Attributes:
        name: What finds the faces, for reports.
        options: How it searches.
    """

    name = "detector"

    def __init__(self, options: DetectorOptions | None = None) -> None:
        self.options = options or DetectorOptions()

    @abc.abstractmethod
    def _search(self, batch: np.ndarray, min_side: float) -> list[Faces]:
        """Returns the faces of images of one size, in pixels of these images.

        Args:
            batch: `(n, height, width, 3)` uint8 RGB.
            min_side: Faces smaller than this many pixels are of no interest.
        """

    def detect(self, image: np.ndarray) -> Faces:
        """Returns the faces of one photo.

        Args:
            image: `(height, width, 3)` uint8 RGB.

        Raises:
            ValueError: If it is of another shape or dtype.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[np.ndarray]) -> list[Faces]:
        """Returns the faces of several photos, in their order.

        Photos that have one size while they are searched are searched together.

        Args:
            images: Each `(height, width, 3)` uint8 RGB.

        Raises:
            ValueError: If one is of another shape or dtype.
        """
        small = [self._shrink(_checked(image)) for image in images]
        return self.detect_small(small, [_size(image) for image in images])

    def detect_small(
        self, images: Sequence[np.ndarray], sizes: Sequence[tuple[int, int]]
    ) -> list[Faces]:
        """Returns the faces of photos that were made as small as they are searched.

        Args:
            images: Each `(height, width, 3)` uint8 RGB of the `working_size_of` the
                photo.
            sizes: Heights and widths of the photos, in whose pixels faces are given.
        """
        groups = collections.defaultdict(list)
        for index, image in enumerate(images):
            groups[image.shape].append((index, image))
        found: dict[int, Faces] = {}
        for group in groups.values():
            for start in range(0, len(group), self.options.batch_size):
                part = group[start : start + self.options.batch_size]
                found |= self._search_part(part, sizes)
        return [found[index] for index in range(len(images))]

    def _search_part(
        self,
        part: Sequence[tuple[int, np.ndarray]],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[int, Faces]:
        size = _size(part[0][1])
        scales = [max(sizes[i]) / max(size) for i, _ in part]
        min_side = self.options.min_face / max(scales)
        batch = np.stack([small for _, small in part])
        search = self._search_turned if self.options.turned else self._search
        faces = search(batch, min_side)
        return {
            index: self._finish(one, size, sizes[index])
            for (index, _), one in zip(part, faces, strict=True)
        }

    def _search_turned(self, batch: np.ndarray, min_side: float) -> list[Faces]:
        return rotated_search.search_all(
            lambda views: self._search(views, min_side),
            batch,
            self.options.nms_threshold,
        )

    def working_size_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns height and width at which a photo is searched.

        Args:
            size: Height and width of the photo.
        """
        scale = self.options.working_size / max(size)
        if scale <= 0.0 or scale == 1.0 or (scale > 1.0 and not self.options.enlarge):
            return size
        return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))

    def _shrink(self, image: np.ndarray) -> np.ndarray:
        size = self.working_size_of(_size(image))
        return image if size == _size(image) else resized(image, size)

    def _finish(
        self, faces: Faces, small_size: tuple[int, int], size: tuple[int, int]
    ) -> Faces:
        """Scales to the photo's pixels, filters and sorts."""
        faces = rescale(faces, small_size, size)
        keep = (faces.scores >= self.options.score_threshold) & (
            faces.sides >= self.options.min_face
        )
        faces = faces[keep & np.isfinite(faces.landmarks).all(axis=(1, 2))]
        if self.options.drop_ghosts:
            faces = faces[~outlines.ghosts(faces.landmarks, faces.scores)]
        return faces[np.argsort(-faces.scores, kind="stable")]


def scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Returns an image at another size, each side at least one pixel.

    Args:
        image: `(height, width, 3)` uint8.
        scale: New over old side, positive.
    """
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return resized(image, (height, width))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns an image at another size, averaged where that is smaller.

    Args:
        image: `(height, width, 3)` uint8.
        size: Height and width.
    """
    smaller = max(size) < max(image.shape[:2])
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=method)


def _size(image: np.ndarray) -> tuple[int, int]:
    """Returns height and width."""
    return image.shape[0], image.shape[1]


def _checked(image: np.ndarray) -> np.ndarray:
    good = isinstance(image, np.ndarray) and image.dtype == np.uint8
    if not good or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(
            "An image must be a uint8 array of shape (height, width, 3). Received: "
            f"{getattr(image, 'dtype', type(image))} of shape {np.shape(image)}"
        )
    return image
