"""Made faces whose landmarks are coloured dots, and a detector that finds the dots."""

import pathlib

import cv2
import numpy as np

from facedancer.face import pose
from facedancer.face.faces import Faces
from facedancer.imaging import images

DOTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))


class DotDetector:
    """Finds the five dots that `draw_face` draws."""

    name = "dots"

    def detect_batch(self, photos):
        return [self.detect(photo) for photo in photos]

    def detect(self, photo):
        points = [self._centre(photo, colour) for colour in DOTS]
        if None in points:
            return Faces.empty()
        points = np.array(points)
        middle, side = points.mean(axis=0), 2.2 * np.ptp(points[:, 1])
        box = np.concatenate([middle - side / 2, middle + side / 2])
        return Faces(box[None], points[None], np.ones(1))

    def _centre(self, photo, colour):
        near = np.abs(photo.astype(int) - colour).max(axis=2) < 90
        rows, columns = np.nonzero(near)
        return (columns.mean(), rows.mean()) if len(rows) >= 4 else None


def draw_face(person, seed=0, angles=(0.0, 0.0, 0.0), size=(150, 180), dots=True):
    """Returns a photo of a made person in some pose.

    Args:
        person: Number of the person; decides the face's texture.
        seed: Of the background.
        angles: Yaw, pitch and roll in degrees.
        size: Height and width.
        dots: Whether the face can be found.
    """
    random = np.random.default_rng([seed, 7])
    image = random.integers(60, 120, (*size, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    centre = np.array([size[1] / 2, size[0] / 2])
    points = pose.project(angles, size=44.0) + centre
    face = np.random.default_rng([person, 1])
    skin = tuple(int(c) for c in face.integers(90, 170, 3))
    cv2.ellipse(image, tuple(centre.astype(int)), (44, 56), 0, 0, 360, skin, -1)
    for _ in range(6):
        start = (centre + face.uniform(-30, 30, 2)).astype(int)
        end = (centre + face.uniform(-30, 30, 2)).astype(int)
        tint = tuple(int(c) for c in face.integers(70, 180, 3))
        cv2.line(image, tuple(start), tuple(end), tint, 4)
    for point, colour in zip(points, DOTS, strict=True):
        if dots:
            place = np.rint(point * 16).astype(int)
            cv2.circle(image, tuple(int(p) for p in place), 4 * 16, colour, -1, shift=4)
    return image


def write_people(folder, counts, **options):
    """Writes `counts[person]` photos a person, as `<folder>/person_<n>/<i>.png`."""
    for person, count in counts.items():
        for number in range(count):
            path = pathlib.Path(folder, f"person_{person}", f"{number}.png")
            angles = (12.0 * number - 10.0, 4.0 * person - 6.0, 3.0 * number)
            seed = 100 * person + number
            images.write_image(path, draw_face(person, seed, angles, **options))
