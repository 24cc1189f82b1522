"""The people of a photo or clip: faces grouped by who they are, numbered."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

import cv2
import numpy as np

from facedancer.arcface_model import Embedder, mean_of_embeddings
from facedancer.errors import InputError
from facedancer.face import alignment
from facedancer.face.faces import Faces
from facedancer.face.photo_search import search_photos
from facedancer.imaging import contact_sheet, image_formats, images
from facedancer.networks.vectors import cosine_matrix
from facedancer.retinaface import Detector
from facedancer.video_swap.media import pictures, video_reader
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.swapping import identities

PICTURE = 160  # side of the pictures of people, in pixels
_A_SECOND = 2  # frames a second that are searched
_FEW = 16  # of a short clip this many are, if it has so many
_SHRINK = 0.7  # of the pictures: the head, not the face alone
_HELD = 64  # vectors of a person that are averaged


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody in a photo or clip.

    Attributes:
        number: From 1 on; in a photo from left to right, in a clip by who is seen in
            most of its frames.
        vector: `(d,)` float32, mean identity, not normalised.
        picture: `(PICTURE, PICTURE, 3)` uint8 RGB, the largest of this person's faces.
        faces: In how many of the searched frames.
        side: Longer side of the largest face, pixels.
        times: Stretches `(start, end)` in seconds in which this person is seen; empty
            for a photo.
    """

    number: int
    vector: np.ndarray = dataclasses.field(repr=False)
    picture: np.ndarray = dataclasses.field(repr=False)
    faces: int
    side: float
    times: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class View:
    """A picture that is searched.

    Attributes:
        image: `(height, width, 3)` uint8 RGB.
        seconds: Its time, None for a photo.
    """

    image: np.ndarray
    seconds: float | None = None


class _Group:
    """Faces that are taken for one person."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.seen: list[int] = []  # frames
        self.vectors: list[np.ndarray] = []
        self.side, self.picture, self.left = 0.0, np.zeros(0), 0.0

    def add(
        self,
        frame: int,
        image: np.ndarray,
        box: np.ndarray,
        landmarks: np.ndarray,
        vector: np.ndarray,
    ) -> None:
        """Takes a face that was found.

        Args:
            frame: Number of the picture.
            image: The picture.
            box: `(4,)` pixels.
            landmarks: `(5, 2)` pixels.
            vector: `(d,)` identity.
        """
        self.seen.append(frame)
        if len(self.vectors) < _HELD:
            self.vectors.append(vector)
        side = float(max(box[2] - box[0], box[3] - box[1]))
        if side > self.side:
            matrix = alignment.crop_matrix(landmarks, PICTURE, "arcface", _SHRINK)
            self.picture = alignment.crop(image, matrix, PICTURE)
            self.side, self.left = side, float(box[0])

    @property
    def vector(self) -> np.ndarray:
        """The mean identity."""
        return mean_of_embeddings(np.stack(self.vectors))

    def take(self, other: _Group) -> None:
        """Joins another group to this one.

        Args:
            other: The other.
        """
        self.seen = sorted([*self.seen, *other.seen])
        self.vectors = [*self.vectors, *other.vectors][:_HELD]
        if other.side > self.side:
            self.side, self.picture = other.side, other.picture


def find(
    path: pathlib.Path,
    detector: Detector,
    embedder: Embedder,
    threshold: float = 0.0,
    max_pixels: int = images.MAX_PIXELS,
) -> list[Person]:
    """Returns the people of a photo or clip.

    Of a clip two frames a second are searched, of a short one more.

    Args:
        path: A photo, a video, an animation or a folder of pictures.
        detector: Finds faces.
        embedder: Tells them apart.
        threshold: Cosine from which two faces are one person; 0: the encoder's own.
        max_pixels: Largest photo, width times height.

    Raises:
        InputError: If it cannot be read or shows no face.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    moves = not image_formats.is_photo(path)
    if moves:
        views = _frames(path, max_pixels)
    else:
        views = (View(images.read_image(path, max_pixels)) for _ in range(1))
    limit = threshold or identities.default_threshold(embedder.encoder.name_with_hash)
    groups, times = group(views, detector, embedder, limit)
    if not groups:
        raise InputError(
            f"{path}: no face was found. Lower --score_threshold, or raise "
            "--working_size for small faces"
        )
    return _numbered(groups, times if moves else [])


def _frames(path: pathlib.Path, max_pixels: int) -> Iterator[View]:
    """Yields the frames of a clip that are searched."""
    reader: pictures.ClipReader
    if pictures.reads(path):
        info = pictures.PictureReader(path, max_pixels=max_pixels).info
        every = _every(info)
        reader = pictures.PictureReader(path, every=every, max_pixels=max_pixels)
    else:
        info = video_reader.VideoReader(path, hdr_mode="convert").info
        reader = video_reader.VideoReader(path, every=_every(info), hdr_mode="convert")
    for frame in reader:
        yield View(frame.image, float(frame.pts * info.time_base))


def _every(info: video_reader.ClipInfo) -> int:
    every = round(info.rate / _A_SECOND)
    if info.num_frames:
        every = min(every, info.num_frames // _FEW)
    return max(1, every)


def group(
    views: Iterator[View], detector: Detector, embedder: Embedder, threshold: float
) -> tuple[list[_Group], list[float]]:
    """Returns faces grouped by person, and the times of all searched pictures.

    Nobody is in a picture twice: of its faces each goes to the person it is most like,
    and to one of its own where none is like enough. At the end people who were taken
    for two, because they were seen from another side first, become one, if they never
    stand beside each other.

    Args:
        views: The pictures, in order.
        detector: Finds faces.
        embedder: Tells them apart.
        threshold: Smallest cosine of one person.
    """
    groups: list[_Group] = []
    times: list[float] = []
    for number, view in enumerate(views):
        times.append(view.seconds or 0.0)
        faces = search_photos(detector, [view.image])[0]
        if len(faces):
            vectors = _embedded(view.image, faces, embedder)
            for face_index, taken in _assigned(groups, vectors, threshold):
                if taken is None:
                    taken = _Group(len(groups))
                    groups.append(taken)
                taken.add(
                    number,
                    view.image,
                    faces.boxes[face_index],
                    faces.landmarks[face_index],
                    vectors[face_index],
                )
    return _joined(groups, threshold), times


def _embedded(image: np.ndarray, faces: Faces, embedder: Embedder) -> np.ndarray:
    contract = embedder.encoder.contract
    crops = [
        identities.crop_of(Rgb(image), points, contract) for points in faces.landmarks
    ]
    return embedder.embed(np.stack(crops))


def _assigned(
    groups: list[_Group], vectors: np.ndarray, threshold: float
) -> list[tuple[int, _Group | None]]:
    """Returns the group of each face, None for a new one; surest pairs go first."""
    found: dict[int, _Group | None] = dict.fromkeys(range(len(vectors)))
    if groups:
        likeness = cosine_matrix(vectors, np.stack([one.vector for one in groups]))
        while likeness.max(initial=-1.0) >= threshold:
            face, group = np.unravel_index(likeness.argmax(), likeness.shape)
            found[int(face)] = groups[int(group)]
            likeness[face, :] = likeness[:, group] = -1.0
    return list(found.items())


def _joined(groups: list[_Group], threshold: float) -> list[_Group]:
    """Joins groups that are one person."""
    left = list(groups)
    while len(left) > 1:
        vectors = np.stack([one.vector for one in left])
        likeness = cosine_matrix(vectors, vectors)
        for i, one in enumerate(left):
            for j, other in enumerate(left):
                if i >= j or not set(one.seen).isdisjoint(other.seen):
                    likeness[i, j] = -1.0
        if likeness.max() < threshold:
            break
        first, second = np.unravel_index(likeness.argmax(), likeness.shape)
        left[int(first)].take(left.pop(int(second)))
    return left


def _numbered(groups: list[_Group], times: list[float]) -> list[Person]:
    def order(one: _Group) -> tuple[float, int]:
        return (-len(one.seen), one.first) if times else (one.left, one.first)

    return [
        Person(
            number,
            one.vector,
            one.picture,
            len(one.seen),
            one.side,
            stretches(one.seen, times) if times else (),
        )
        for number, one in enumerate(sorted(groups, key=order), start=1)
    ]


def stretches(seen: list[int], times: list[float]) -> tuple[tuple[float, float], ...]:
    """Returns when somebody is seen, from frames that follow each other.

    Args:
        seen: Numbers of the searched frames that show the person, rising. One that is
            missing between two does not part them.
        times: Seconds of all searched frames.

    Returns:
        Start and end in seconds, from the first to the last frame of each stretch.
    """
    found: list[list[int]] = []
    for number in seen:
        if found and number - found[-1][1] <= 2:
            found[-1][1] = number
        else:
            found.append([number, number])
    return tuple((times[first], times[last]) for first, last in found)


def sheet(people: list[Person], columns: int = 6) -> np.ndarray:
    """Returns one picture with everybody and their numbers.

    Args:
        people: At least one.
        columns: People in a row.
    """
    tiles = [(_with_number(one), in_words(one)) for one in people]
    return contact_sheet.contact_sheet(tiles, columns, PICTURE)


def _with_number(person: Person) -> np.ndarray:
    picture, text = person.picture.copy(), str(person.number)
    cv2.rectangle(picture, (0, 0), (12 + 20 * len(text), 38), (0, 0, 0), -1)
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    cv2.putText(picture, text, (6, 30), font, 1.0, white, 2)
    return picture


def in_words(person: Person, max_named: int = 1) -> str:
    """Returns when somebody is seen, as in `0:03-0:12, ...`; how large in a photo.

    Args:
        person: Who.
        max_named: Stretches of time that are named.
    """
    if not person.times:
        return f"{person.side:.0f} pixels"
    shown = [f"{_clock(a)}-{_clock(b)}" for a, b in person.times[:max_named]]
    return ", ".join(shown + ["..."] * (len(person.times) > max_named))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
