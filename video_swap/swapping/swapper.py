"""Swap faces: a frame in, a frame out, NumPy at both ends."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from facedancer.errors import InputError
from facedancer.face import alignment, face_maps
from facedancer.face.faces import Faces
from facedancer.face.photo_search import search_photos
from facedancer.networks.contract import SwapContract
from facedancer.video_swap.compositing import (
    colour_transfer,
    detail,
    mask_kinds,
    masks,
    parsing,
    paste,
    pixel_aspect,
    pixel_boost,
)
from facedancer.video_swap.pixels.picture import Picture, Rgb
from facedancer.video_swap.settings import SwapSettings
from facedancer.video_swap.swapping import feeds, identities
from facedancer.video_swap.swapping.jobs import Crop, FaceJob, far_first, make_jobs

if TYPE_CHECKING:
    from facedancer.arcface_model import Embedder
    from facedancer.models.families.face_parser.parser import FaceParser
    from facedancer.models.families.face_refiner.refiner import FaceRefiner


def _name(engine: object) -> str:
    return getattr(engine, "name", "unnamed")


@dataclasses.dataclass(frozen=True)
class SwapResult:
    """A swapped frame.

    Attributes:
        image: `(height, width, 3)` uint8 RGB, a new array.
        faces: All faces that were found, swapped or not.
        rules: For each face the index of the rule it was swapped by, None if not.
    """

    image: np.ndarray
    faces: Faces
    rules: list[int | None]


class FaceSwapper:
    """Finds faces and gives them other identities.

    Args:
        engine: Called as `engine(feeds)`, see `video_swap.engines.make`.
        contract: The generator's `SwapContract`.
        detector: With `detect_batch(images) -> list[Faces]`.
        embedder: With `embed(crops) -> vectors` and `encoder`.
        rules: Who becomes whom. At least one must have a source.
        settings: How.
        parser: Tells what covers a face (hair, a hand), which stays the target's;
            None for none.
        refiner: Makes large faces sharp, where the settings say `network`, or `auto`
            and it is a photo; None for none.

    Raises:
        InputError: If there is no rule with a source, a source is of another form
            than the generator is told, or it wants an input that nothing makes.

    Example:
        swapper = FaceSwapper(engine, contract, detector, embedder, rules, settings)
        swapped = swapper.swap_frame(image).image
    """

    def __init__(
        self,
        engine: Any,
        contract: SwapContract,
        detector: Any,
        embedder: Embedder,
        rules: Sequence[identities.Rule],
        settings: SwapSettings | None = None,
        parser: FaceParser | None = None,
        refiner: FaceRefiner | None = None,
    ) -> None:
        feeds.check(contract)
        self.engine, self.contract = engine, contract
        self.detector, self.embedder = detector, embedder
        self.rules = tuple(rules)
        self.settings, self.parser = settings or SwapSettings(), parser
        self.refiner = refiner
        if self.settings.refine == "network" and refiner is None:
            raise InputError("--refine=network: leave out --refiner_path=none")
        self.aspect = 1.0
        if feeds.are_parsed(contract) and parser is None:
            raise InputError(
                "The generator is fed what a face parser sees: leave out "
                "--parsing_path=none"
            )
        if all(rule.source is None for rule in self.rules):
            raise InputError("There is no source: give --swap_source or --map")
        feeds.check_sources(contract, self.rules)
        if contract.identity.kind != "vector" and self.settings.strength != 1.0:
            raise InputError(
                "--strength is for generators that are told a vector of an encoder. "
                f"Received: {self.settings.strength:g}"
            )
        beyond = contract.identity.extrapolation
        self.strength = self.settings.strength * (1.0 + beyond)
        self.mixes = self.strength != 1.0  # and so must know whom a target shows
        self.compares = any(rule.reference is not None for rule in self.rules)
        self.threshold = self.settings.threshold or identities.default_threshold(
            embedder.encoder.name_with_hash
        )

    def with_aspect(self, aspect: float) -> FaceSwapper:
        """Returns a swapper of the same parts for frames whose pixels are not square.

        Args:
            aspect: Width over height of one pixel.
        """
        other = copy.copy(self)
        other.aspect = aspect
        return other

    def detect(self, frames: Sequence[Picture]) -> list[Faces]:
        """Returns the faces of several frames.

        Args:
            frames: The frames.
        """
        return pixel_aspect.search(self.detector, frames, self.aspect)

    def embed(self, frame: Picture, landmarks: np.ndarray) -> np.ndarray:
        """Returns the identity vectors of faces in a frame.

        Args:
            frame: The frame.
            landmarks: `(n, 5, 2)` pixels of it.

        Returns:
            `(n, d)` float32, not normalised.
        """
        contract = self.embedder.encoder.contract
        size = contract.size
        crops = [
            identities.crop_of(frame, points, contract, self.aspect)
            for points in landmarks
        ]
        return self.embedder.embed(
            np.stack(crops) if crops else np.zeros((0, size, size, 3), np.uint8)
        )

    def choose(
        self, frame: Picture, faces: Faces, embeddings: np.ndarray | None = None
    ) -> list[int | None]:
        """Returns the rule of each face, None where it stays as it is.

        Args:
            frame: The frame.
            faces: The faces found in it.
            embeddings: `(n, d)` of them, computed where needed if None. Rows beyond `n`
                are of faces that are there but were not found; references may be
                theirs.
        """
        if self.compares and embeddings is None:
            embeddings = self.embed(frame, faces.landmarks)
        count = len(faces) if embeddings is None else len(embeddings)
        chosen = identities.choose(embeddings, self.rules, self.threshold, count)
        chosen = chosen[: len(faces)]
        free = np.flatnonzero([not self._is_spared(rule) for rule in chosen])
        kept = free[identities.keep_by_order(faces[free], self.settings.faces)]
        return [rule if index in kept else None for index, rule in enumerate(chosen)]

    def _is_spared(self, rule: int | None) -> bool:
        return rule is not None and self.rules[rule].source is None

    def swap_frame(self, image: np.ndarray) -> SwapResult:
        """Swaps the faces of one photo; large ones are searched in parts too.

        Args:
            image: `(height, width, 3)` uint8 RGB; it is not changed.

        Raises:
            InputError: If the generator is fed what a parser sees, and that sees none
                of the faces.
        """
        faces = search_photos(self.detector, [image])[0]
        frame = Rgb(image)
        rules = self.choose(frame, faces)
        if feeds.are_parsed(self.contract):
            rules = self._recognised(frame, faces, rules)
        jobs = make_jobs(faces.landmarks, rules)
        tool = self._for_photos()
        return SwapResult(tool.swap_frames([image], [jobs])[0], faces, rules)

    def _for_photos(self) -> FaceSwapper:
        """Returns a swapper that takes the time of one picture for its faces."""
        if self.settings.refine != "auto" or self.refiner is None:
            return self
        other = copy.copy(self)
        other.settings = dataclasses.replace(self.settings, refine="network")
        return other

    def _recognised(
        self, frame: Picture, faces: Faces, rules: list[int | None]
    ) -> list[int | None]:
        """Returns the rules of those faces that the parser sees as such, else None."""
        wanted = [place for place, rule in enumerate(rules) if rule is not None]
        jobs = make_jobs(faces.landmarks, rules)
        crops = dict(zip(wanted, (self._cut(frame, job) for job in jobs), strict=True))
        seen = [
            place
            for place, crop in crops.items()
            if crop.classes is not None
            and face_maps.is_recognised(crop.classes, crop.landmarks, len(crop.image))
        ]
        if wanted and not seen:
            raise InputError(
                f"{len(faces)} faces were found, and the face parser recognises none: "
                "this generator paints the parts of a face that it sees. Give a "
                "clearer photo, another --parsing_path or another generator"
            )
        return [rule if place in seen else None for place, rule in enumerate(rules)]

    def swap_frames(
        self, frames: Sequence[np.ndarray], jobs: Sequence[Sequence[FaceJob]]
    ) -> list[np.ndarray]:
        """Swaps given faces of several frames; all go through the generator together.

        Args:
            frames: Each `(height, width, 3)` uint8 RGB; they are not changed.
            jobs: For each frame the faces to swap.

        Returns:
            New frames; where a frame has no job, the frame itself.
        """
        pictures = [Rgb(frame) for frame in frames]
        crops = self.cut(pictures, jobs)
        done = self.put_back(pictures, jobs, crops, self.generate(crops))
        return [picture.image for picture in done]

    def cut(
        self, frames: Sequence[Picture], jobs: Sequence[Sequence[FaceJob]]
    ) -> list[Crop]:
        """Returns the aligned crops of given faces, far ones first in each frame.

        Args:
            frames: The frames.
            jobs: For each frame the faces to swap.
        """
        return [
            self._cut(frame, job)
            for frame, some in zip(frames, jobs, strict=True)
            for job in far_first(some)
        ]

    def put_back(
        self,
        frames: Sequence[Picture],
        jobs: Sequence[Sequence[FaceJob]],
        crops: Sequence[Crop],
        swapped: Iterator[dict[str, np.ndarray]],
        covers: parsing.Covers | None = None,
    ) -> list[Picture]:
        """Returns the frames with swapped crops pasted in.

        Args:
            frames: See `cut`; they are not changed.
            jobs: See `cut`.
            crops: What `cut` gave.
            swapped: What `generate` gave.
            covers: See `covers`; None: each crop is parsed by itself.
        """
        waiting, covers = iter(crops), covers or self.covers()
        results: list[Picture] = []
        for frame, some in zip(frames, jobs, strict=True):
            result = frame.copy() if len(some) else frame
            for _ in some:
                self._put_back(result, frame, next(waiting), next(swapped), covers)
            results.append(result)
        return results

    def covers(self, every: int = 1) -> parsing.Covers:
        """Returns what tells what covers the faces of a clip, frame after frame.

        Args:
            every: See `parsing.Covers`.
        """
        return parsing.Covers(self.parser, every)

    def _cut(self, frame: Picture, job: FaceJob) -> Crop:
        contract = self.contract.image
        size = contract.size * self.settings.pixel_boost
        matrix = pixel_aspect.crop_matrix(job.landmarks, size, contract, self.aspect)
        image = identities.cut(frame, matrix, size)
        classes = None
        if self.parser is not None and feeds.are_parsed(self.contract):
            classes = self.parser.classes([image])[0]
        return Crop(
            image,
            matrix,
            alignment.apply(matrix, job.landmarks),
            self._identity(frame, job),
            alignment.apply(matrix, job.fronts),
            self.rules[job.rule].picture,
            classes,
            job.track,
        )

    def _identity(self, frame: Picture, job: FaceJob) -> np.ndarray | int:
        source, target = self.rules[job.rule].source, job.vector
        if source is None:
            raise ValueError(f"Rule {job.rule} spares its face: there is no identity")
        if not self.mixes or isinstance(source, int):
            return source
        if target is None:
            target = self.embed(frame, job.landmarks[None])[0]
        return mix_identities(target, source, self.strength)

    def generate(self, crops: Sequence[Crop]) -> Iterator[dict[str, np.ndarray]]:
        """Yields what the generator makes of each crop, by name.

        `swapped` is `(size, size, 3)` float32 in [0, 255] and a bit beyond.

        Args:
            crops: What `cut` gave.

        Raises:
            InputError: If the generator's output is not finite.
        """
        if not crops:
            return
        boost = self.settings.pixel_boost
        made = self.engine(feeds.make(crops, self.contract, boost))
        if not all(np.isfinite(values).all() for values in made.values()):
            raise InputError(
                "The generator gave values that are not finite: its file is damaged "
                f"or the engine computes it wrong (here: {_name(self.engine)}); try "
                "another --engine"
            )
        for start in range(0, len(crops) * boost**2, boost**2):
            tiles = slice(start, start + boost**2)
            one = {k: pixel_boost.merge(v[tiles], boost) for k, v in made.items()}
            yield one | {"swapped": self.contract.image.to_255(one["swapped"])}

    def _put_back(
        self,
        result: Picture,
        frame: Picture,
        crop: Crop,
        made: dict[str, np.ndarray],
        covers: parsing.Covers,
    ) -> None:
        settings, size = self.settings, len(crop.image)
        mask = mask_kinds.MASKS[settings.mask](crop.landmarks, size)
        if len(crop.fronts):
            mask = mask * masks.uncovered(crop.fronts, size)
        mask = masks.by_outputs(made, mask)
        mask = mask * covers.visible(crop.image, crop.track)
        target = crop.image.astype(np.float32)
        swapped = colour_transfer.correct(
            settings.colour, made["swapped"], target, mask
        )
        if settings.match_sharpness:
            swapped = paste.match_sharpness(swapped, target, mask)
        swapped = paste.sharpen(swapped, settings.sharpen)
        window, matrix = frame.window(crop.matrix, size)
        if settings.refine in ("auto", "detail"):
            swapped, mask, matrix = detail.refine(window, swapped, mask, matrix)
        elif self.refiner is not None and settings.refine == "network":
            swapped, mask, matrix = detail.refine_by_network(
                window, swapped, mask, matrix, self.refiner
            )
        result.paint(
            crop.matrix, size, lambda image: paste.paste(image, swapped, mask, matrix)
        )


def mix_identities(
    target: np.ndarray, source: np.ndarray, strength: float
) -> np.ndarray:
    """Returns an identity on the way from one to another, with a length between.

    Args:
        target: `(d,)` raw embedding, the result for strength 0.
        source: `(d,)` raw embedding, the result for strength 1.
        strength: How far to go; above 1 goes beyond the source.
    """
    lengths = np.linalg.norm(target), np.linalg.norm(source)
    mixed = (1 - strength) * target / lengths[0] + strength * source / lengths[1]
    part = min(max(strength, 0.0), 1.0)
    length = (1 - part) * lengths[0] + part * lengths[1]
    return (mixed * length / max(np.linalg.norm(mixed), 1e-12)).astype(np.float32)
