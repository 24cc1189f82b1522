"""Follow faces from frame to frame: steady landmarks, short gaps filled, cuts seen."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from facedancer.arcface_model import cosine
from facedancer.face.boxes import overlap
from facedancer.face.faces import Faces
from facedancer.video_swap.pixels.picture import Picture
from facedancer.video_swap.swapping.jobs import make_jobs

if TYPE_CHECKING:
    from facedancer.video_swap.clips.clip_stages import Step
    from facedancer.video_swap.media.video_reader import Frame
    from facedancer.video_swap.swapping.swapper import FaceSwapper

_JOINS = 0.25  # overlap from which a box can go on a track
_ALIKE = 0.2  # cosine below which it is somebody else
_CUT = 0.5  # correlation of neighbouring pictures below which there is a cut
_MEMORY = 30  # embeddings of a track that are averaged
_LOOK_EVERY = 12  # frames between two looks at whom a swapped face shows
# Distance of the smoothed place from the measured one, in eye distances, from which the
# latter is trusted: more is movement, less is noise of the detector.
_NOISE = 0.05


@dataclasses.dataclass
class Shot:
    """What lies between two cuts.

    Attributes:
        searched: Frames of it that were searched so far.
    """

    searched: int = 0


class Track:
    """One face through a shot.

    Args:
        number: Its number in the clip.
        shot: The shot it belongs to.

    Attributes:
        landmarks: Landmarks `(5, 2)` by frame number; found or filled in.
        found: Numbers of the frames in which it was found and that are still needed.
        finds: Frames in which it was found so far.
        box: The last box.
        last: Number of the last frame it was found in.
        rule: Index of the rule of the last finished frame, None if it stays as it is.
    """

    def __init__(self, number: int, shot: Shot) -> None:
        self.number, self.shot = number, shot
        self.finds = 0
        self.landmarks: dict[int, np.ndarray] = {}
        self.found: set[int] = set()
        self.box = np.zeros(4)
        self.last = -1
        self.vectors: collections.deque = collections.deque(maxlen=_MEMORY)
        self.looks: collections.deque = collections.deque(maxlen=_MEMORY)
        self.next_look = 0
        self.rule: int | None = None
        self.recent: collections.deque = collections.deque(maxlen=3)

    def add(
        self,
        index: int,
        landmarks: np.ndarray,
        box: np.ndarray,
        vector: np.ndarray | None,
    ) -> None:
        """Takes a face found in a frame.

        Args:
            index: Number of the frame.
            landmarks: `(5, 2)` pixels.
            box: `(4,)` pixels.
            vector: `(d,)` embedding or None.
        """
        self.landmarks[index] = np.asarray(landmarks, np.float64)
        self.found.add(index)
        self.finds += 1
        self.box, self.last = box, index
        if vector is not None:
            self.vectors.append(vector / max(np.linalg.norm(vector), 1e-12))
            self.looks.append(vector)

    @property
    def identity(self) -> np.ndarray | None:
        """Mean embedding of the track, None if there is none."""
        return np.mean(self.vectors, axis=0) if self.vectors else None

    def look(self, frame: Frame, swapper: FaceSwapper) -> np.ndarray:
        """Returns whom the face shows, by what was seen of it now and then.

        Args:
            frame: One that it is in.
            swapper: What embeds it, unless it compares and so has done it before.

        Returns:
            `(d,)` the mean of raw embeddings, so that it hardly changes from frame to
            frame.
        """
        if not swapper.compares and frame.index >= self.next_look:
            found = swapper.embed(frame.picture, self.landmarks[frame.index][None])
            self.looks.append(found[0])
            self.next_look = frame.index + _LOOK_EVERY
        return np.mean(self.looks, axis=0)

    def is_confirmed(self, min_finds: int) -> bool:
        """Returns whether it was found often enough to be taken for a face.

        Args:
            min_finds: Frames in which it must have been found; of a shot in which fewer
                were searched, all of them.
        """
        return self.finds >= min(min_finds, self.shot.searched)

    def fill(self, index: int, previous: int) -> None:
        """Fills the frames between two in which it was found, in a straight line.

        Args:
            index: The later frame.
            previous: The earlier one.
        """
        first, last = self.landmarks[previous], self.landmarks[index]
        for between in range(previous + 1, index):
            part = (between - previous) / (index - previous)
            self.landmarks[between] = (1 - part) * first + part * last

    def jitter(self, index: int, smoothed: np.ndarray) -> np.ndarray:
        """Returns how far two frames ago, the last and this one are from a line.

        Args:
            index: The frame.
            smoothed: `(5, 2)`, its smoothed landmarks.

        Returns:
            The second difference in eye distances of the measured landmarks and of the
            smoothed ones, and 1; zeros for the first two frames of a track.
        """
        self.recent.append((index, self.landmarks[index], smoothed))
        numbers = [i for i, _, _ in self.recent]
        if numbers != [index - 2, index - 1, index]:
            return np.zeros(3)
        scale = max(np.hypot(*(smoothed[1] - smoothed[0])), 1.0)
        sizes = []
        for kind in (1, 2):
            a, b, c = (entry[kind] for entry in self.recent)
            sizes.append(np.abs(a - 2 * b + c).mean() / scale)
        return np.array([*sizes, 1.0])

    def forget(self, before: int) -> None:
        """Drops what no frame still to come needs.

        Args:
            before: Number of the first frame to keep.
        """
        for index in [i for i in self.landmarks if i < before]:
            del self.landmarks[index]
            self.found.discard(index)


def smooth(landmarks: dict[int, np.ndarray], index: int, width: float) -> np.ndarray:
    """Returns the steadied landmarks of one frame.

    A straight line is fitted through the frames around it, by Gaussian weights, and
    its value taken: movement at even speed is not held back, as no filter that only
    looks backwards can claim. Where the measured place still lies far from the line,
    the face changes its speed, and the measured place is kept.

    Args:
        landmarks: Landmarks `(5, 2)` by frame number.
        index: The frame.
        width: Standard deviation of the weights in frames; 0 changes nothing.
    """
    measured = landmarks[index]
    reach = int(np.ceil(2 * width))
    near = [i for i in range(index - reach, index + reach + 1) if i in landmarks]
    near = _unbroken(near, index)
    if width == 0 or len(near) < 3:
        return measured
    t = np.array(near, np.float64) - index
    weight = np.exp(-0.5 * (t / width) ** 2)
    line = np.polynomial.polynomial.polyfit(
        t, np.stack([landmarks[i].ravel() for i in near]), 1, w=np.sqrt(weight)
    )
    steady = line[0].reshape(5, 2)
    scale = max(np.hypot(*(measured[1] - measured[0])), 1.0)
    away = np.sqrt(((measured - steady) ** 2).sum(axis=1).mean()) / scale
    trust = (away / _NOISE) ** 2 / (1 + (away / _NOISE) ** 2)
    return steady + trust * (measured - steady)


def _unbroken(near: list[int], index: int) -> list[int]:
    """Keeps the frames that hang together with one, without a hole."""
    middle = near.index(index)
    first, last = middle, middle
    while first > 0 and near[first - 1] == near[first] - 1:
        first -= 1
    while last + 1 < len(near) and near[last + 1] == near[last] + 1:
        last += 1
    return near[first : last + 1]


class Tracker:
    """Joins the faces of successive frames to tracks.

    Args:
        max_gap: Frames without the face after which a track ends.
    """

    def __init__(self, max_gap: int) -> None:
        self.max_gap = max_gap
        self.tracks: list[Track] = []
        self.number = 0
        self.shot = Shot()

    def reset(self) -> None:
        """Ends all tracks, as a cut does."""
        self.tracks = []
        self.shot = Shot()

    def add(
        self, index: int, faces: Faces, embeddings: np.ndarray | None
    ) -> list[Track]:
        """Takes the faces of a frame and returns the track of each.

        Pairs of track and face are taken by overlap and, where embeddings are known,
        likeness, best first.

        Args:
            index: Number of the frame.
            faces: Its `Faces`.
            embeddings: `(n, d)` or None.
        """
        self.tracks = [t for t in self.tracks if index - t.last <= self.max_gap + 1]
        pairs = sorted(self._pairs(faces, embeddings), reverse=True)
        owner: dict[int, Track] = {}
        for _, t, f in pairs:
            if f not in owner and self.tracks[t] not in owner.values():
                owner[f] = self.tracks[t]
        result = [owner.get(f) or self._new() for f in range(len(faces))]
        for f, track in enumerate(result):
            vector = None if embeddings is None else embeddings[f]
            previous = track.last
            track.add(index, faces.landmarks[f], faces.boxes[f], vector)
            if previous >= 0 and previous < index - 1:
                track.fill(index, previous)
        return result

    def _new(self) -> Track:
        track = Track(self.number, self.shot)
        self.number += 1
        self.tracks.append(track)
        return track

    def _pairs(
        self, faces: Faces, embeddings: np.ndarray | None
    ) -> Iterator[tuple[float, int, int]]:
        for t, track in enumerate(self.tracks):
            for f, box in enumerate(faces.boxes):
                score = float(overlap(track.box, box))
                if score < _JOINS:
                    continue
                known = track.identity
                if embeddings is not None and known is not None:
                    likeness = float(cosine(known, embeddings[f]))
                    if likeness < _ALIKE and score < 0.7:
                        continue
                    score += 0.5 * likeness
                yield score, t, f


def follow(
    items: Generator[Step],
    swapper: FaceSwapper,
    smoothing: float,
    max_gap: int,
    min_finds: int,
    delay: int,
) -> Generator[Step]:
    """Yields steps with their jobs, some frames later than they come.

    Args:
        items: Steps with `faces`, `search` and `cut`.
        swapper: Decides whose face is swapped.
        smoothing: See `smooth`.
        max_gap: Frames without the face up to which a track is filled in.
        min_finds: Frames in which a face must be found to be swapped.
        delay: Frames to look ahead for them; smoothing and gaps may need more.
    """
    reach = int(np.ceil(2 * smoothing))
    delay = max(reach, delay, max_gap + 1 if max_gap else 0)
    tracker = Tracker(max_gap)
    window: collections.deque = collections.deque()
    with contextlib.closing(items):
        for step in items:
            if step.cut:
                tracker.reset()
            tracker.shot.searched += step.search
            tracks = tracker.add(step.frame.index, step.faces, step.embeddings)
            window.append((step, tracks))
            if len(window) > delay:
                yield _ready(window, smoothing, min_finds, swapper)
        while window:
            yield _ready(window, smoothing, min_finds, swapper)


def _ready(
    window: collections.deque[tuple[Step, list[Track]]],
    smoothing: float,
    min_finds: int,
    swapper: FaceSwapper,
) -> Step:
    """Takes the oldest step out of the window and gives it its jobs."""
    step, own = window.popleft()
    index = step.frame.index
    tracks = {id(t): t for _, later in [(step, own), *window] for t in later}.values()
    _set_rules(step, own, tracks, swapper)
    smoothed, rules, vectors, numbers = [], [], [], []
    filled, jitter = 0, np.zeros(3)
    for track in tracks:
        if index not in track.landmarks or not track.is_confirmed(min_finds):
            continue
        smoothed.append(smooth(track.landmarks, index, smoothing))
        rules.append(track.rule)
        numbers.append(track.number)
        swapped = track.rule is not None and not step.frame.damaged
        vectors.append(
            track.look(step.frame, swapper) if swapped and swapper.mixes else None
        )
        if track.rule is not None:
            filled += step.search and index not in track.found
            jitter += track.jitter(index, smoothed[-1])
    jobs = make_jobs(smoothed, rules, vectors, numbers)
    for track in tracks:
        track.forget(index - int(np.ceil(2 * smoothing)))
    if step.frame.damaged:
        jobs, filled = [], 0
    return dataclasses.replace(
        step,
        jobs=tuple(jobs),
        filled=filled,
        jitter=(float(jitter[0]), float(jitter[1]), int(jitter[2])),
    )


def _set_rules(
    step: Step, own: list[Track], tracks: Iterable[Track], swapper: FaceSwapper
) -> None:
    """Decides by all that was seen of a face so far, also in frames still to come.

    Faces in a gap of the detection keep their rule, and what references they take.
    """
    if not own:
        return
    vectors = None
    if step.embeddings is not None:
        index = step.frame.index
        hidden = [t for t in tracks if index in t.landmarks and index not in t.found]
        known = [track.identity for track in [*own, *hidden]]
        vectors = np.stack([vector for vector in known if vector is not None])
    rules = swapper.choose(step.frame.picture, step.faces, vectors)
    for track, rule in zip(own, rules, strict=True):
        track.rule = rule


class Cuts:
    """Sees cuts by how little neighbouring pictures have in common."""

    def __init__(self) -> None:
        self.previous: np.ndarray | None = None

    def between(self, picture: Picture) -> bool:
        """Returns whether there is a cut before this picture.

        Args:
            picture: The picture.
        """
        small = picture.small((32, 18)).astype(np.float32)
        previous, self.previous = self.previous, small
        if previous is None:
            return False
        a, b = small - small.mean(), previous - previous.mean()
        alike = (a * b).sum() / max(np.sqrt((a**2).sum() * (b**2).sum()), 1e-6)
        changed = np.abs(small - previous).mean()
        return bool(alike < _CUT and changed > 12.0)
