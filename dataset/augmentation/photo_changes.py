"""The changes of training photos that `PairSettings` asks for beyond colour jitter.

Colour match, affine change and motion blur are the same for everything made of a
photo; warp and corruption make the distorted copy that a network learns to repair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from facedancer.dataset.augmentation import distortion
from facedancer.dataset.augmentation.distortion import Statistics
from facedancer.face import alignment

AFFINES = {
    "none": None,
    "faceswap_gan": distortion.AffineRange(),
    "few_shot": distortion.FEW_SHOT,
}
DISTORTIONS = ("none", "warp", "corruption")
# The straight crop of a warp is .61 to .76 of the photo's side.
_WARP_MARGIN = 1.5
# The face in a crop by the ArcFace template: centre and half axes by the side.
_CENTRE, _AXES = (0.5, 0.56), (0.36, 0.46)


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What is done to one photo, in this order; None: nothing.

    Attributes:
        colour: `(3, 4)`, a map of colours in grey levels.
        matrix: `(2, 3)`, from the photo to the result.
        kernel: `(size, size)`, what it is blurred by.
    """

    colour: np.ndarray | None = None
    matrix: np.ndarray | None = None
    kernel: np.ndarray | None = None

    def applied(self, image: np.ndarray) -> np.ndarray:
        """Returns a photo after all of it, of the same shape.

        Args:
            image: `(side, side, 3)` uint8.
        """
        if self.colour is not None:
            image = cv2.transform(np.ascontiguousarray(image), self.colour)
        if self.matrix is not None:
            image = distortion.warped([image], self.matrix)[0]
        if self.kernel is not None:
            image = cv2.filter2D(image, -1, self.kernel)
        return image


@dataclasses.dataclass(frozen=True)
class PhotoChanges:
    """What is done to the photos of a pair.

    Attributes:
        image_size: Side of the results in pixels.
        colour_match: Probability of `distortion.match_colour`.
        affine: One of `AFFINES`.
        motion_blur: Probability of `distortion.motion_blur`.
        distortion: One of `DISTORTIONS`.
    """

    image_size: int
    colour_match: float = 0.0
    affine: str = "none"
    motion_blur: float = 0.0
    distortion: str = "none"

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        asked = self.colour_match, self.motion_blur
        return any(asked) or (self.affine, self.distortion) != ("none", "none")

    @property
    def read_size(self) -> int:
        """The side at which photos are needed, in pixels."""
        if self.distortion == "warp":
            return round(_WARP_MARGIN * self.image_size)
        return self.image_size

    def change(
        self,
        image: np.ndarray,
        landmarks: np.ndarray | None,
        other: Callable[[], np.ndarray],
        random: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns a photo and its face's mask, both changed alike.

        Args:
            image: `(read_size, read_size, 3)` uint8 RGB.
            landmarks: `(5, 2)` in its pixels, None where nothing is known of the
                crop: it is taken to be aligned by the ArcFace template.
            other: Returns the photo whose colours are taken on.
            random: Random numbers.

        Returns:
            `(read_size, read_size, 3)` uint8, and `(read_size, read_size)` uint8, 255
            inside the face, None unless `distortion` is `"corruption"`.
        """
        parts = [image]
        if self.distortion == "corruption":
            parts.append(face_mask(image.shape[0], landmarks))

        def own() -> Statistics:
            return distortion.middle_statistics(image)

        def goal() -> Statistics:
            return distortion.middle_statistics(other())

        drawn = self.draw(own, goal, random)
        if drawn.colour is not None:
            parts[0] = cv2.transform(np.ascontiguousarray(parts[0]), drawn.colour)
        if drawn.matrix is not None:
            parts = distortion.warped(parts, drawn.matrix)
        if drawn.kernel is not None:
            parts[0] = cv2.filter2D(parts[0], -1, drawn.kernel)
        return parts[0], parts[1] if len(parts) > 1 else None

    def draw(
        self,
        own: Callable[[], Statistics],
        other: Callable[[], Statistics],
        random: np.random.Generator,
    ) -> Drawn:
        """Returns what happens to one photo, without looking at its pixels.

        Args:
            own: Returns the statistics of the photo's colours.
            other: Returns those of the photo whose colours are taken on.
            random: Random numbers.
        """
        colour = matrix = kernel = None
        if random.random() < self.colour_match:
            goal = other()
            colour = distortion.colour_map(own(), goal, random)
        if limits := AFFINES[self.affine]:
            side = self.read_size
            matrix = distortion.affine_matrix(side, side, random, limits)
        if random.random() < self.motion_blur:
            kernel = distortion.blur_kernel(random)
        return Drawn(colour, matrix, kernel)

    def straight(self, image: np.ndarray) -> np.ndarray:
        """Returns a changed photo at the size of the results.

        Args:
            image: `(read_size, read_size, 3)` uint8.
        """
        if image.shape[0] == self.image_size:
            return image
        return cv2.resize(image, (self.image_size,) * 2, interpolation=cv2.INTER_AREA)

    def distort(
        self, image: np.ndarray, mask: np.ndarray | None, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns what is to be restored, and its distorted copy.

        Args:
            image: Of `change`.
            mask: Of `change`.
            random: Random numbers.

        Returns:
            Two `(image_size, image_size, 3)` uint8 images.
        """
        if self.distortion == "warp":
            warped, straight = distortion.random_warp(image, self.image_size, random)
            return straight, warped
        if mask is None:
            raise ValueError("A photo that is corrupted needs the mask of its face")
        return image, distortion.corrupt(image, mask, random)


def face_mask(size: int, landmarks: np.ndarray | None = None) -> np.ndarray:
    """Returns a mask of an aligned face, `(size, size)` uint8, 255 inside an ellipse.

    Args:
        size: Side of the photo in pixels.
        landmarks: `(5, 2)` in its pixels. None: those of the ArcFace template.
    """
    angle = np.linspace(0.0, 2 * np.pi, 64, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    outline = (np.array(_CENTRE) + circle * _AXES) * size - 0.5
    if landmarks is not None:
        matrix = alignment.similarity(alignment.template(size), landmarks)
        outline = alignment.apply(matrix, outline)
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 255)
    return mask
