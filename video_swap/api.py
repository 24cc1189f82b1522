"""Swap faces from Python: three lines, the same results as the programs give.

    from facedancer import Swapper

    swapper = Swapper()
    swapper.swap("group.jpg", source="me.jpg").save("swapped.png")

Results are marked, and signed when they are saved, as those of the programs are.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from facedancer.arcface_model import cosine_matrix, mean_of_embeddings
from facedancer.errors import InputError
from facedancer.face.photo_search import search_photos
from facedancer.flags.settings import from_names
from facedancer.imaging.photo import Photo, pixels_of
from facedancer.storage import weights
from facedancer.video_swap import options
from facedancer.video_swap.api_results import (
    ClipResult,
    FoundFaces,
    Identity,
    SwappedImage,
    check_encoder,
    name_of,
)
from facedancer.video_swap.clips import clip_job, plan
from facedancer.video_swap.clips.clip_stages import StageSettings
from facedancer.video_swap.clips.people import Person
from facedancer.video_swap.clips.people import find as find_people
from facedancer.video_swap.media import video_writer
from facedancer.video_swap.pixels.picture import Rgb
from facedancer.video_swap.provenance import labels
from facedancer.video_swap.swapping import identities, networks, source_glasses
from facedancer.video_swap.swapping.swapper import FaceSwapper, SwapSettings

_NAMES = {"generator": "facedancer_path", "encoder": "arcface_path"}
_NAMES |= {"detector": "retina_path", "parser": "parsing_path"}
_NAMES |= {"refiner": "refiner_path"}
_OF_SWAPPER = (networks.NetworkSettings, SwapSettings, labels.LabelSettings)
_OF_CLIP = (clip_job.ClipSettings, StageSettings, video_writer.EncodeSettings)


class Swapper:
    """Puts the identity of one person on the faces of photos and clips.

    Args:
        generator: A generator's file; empty: the packaged one.
        encoder: The identity encoder it was trained with; empty: the packaged one.
        detector: A face detector's file; empty: the packaged one.
        **settings: Any other setting of the swapping programs by the name of its flag,
            such as `strength=1.2`, `faces="largest"`, `engine="keras"` or
            `provenance="off"`.

    Raises:
        InputError: If a file or value cannot be used.
        TypeError: If there is no setting of that name.

    Example:
        swapper = Swapper()
        me = swapper.identity(["me.jpg", "me_too.jpg"])
        swapper.swap("group.jpg", source=me).save("swapped.png")
        swapper.swap_video("clip.mp4", source=me, output="swapped.mp4")
    """

    def __init__(
        self,
        generator: str | os.PathLike = "",
        encoder: str | os.PathLike = "",
        detector: str | os.PathLike = "",
        **settings: Any,
    ) -> None:
        paths = {"generator": generator, "encoder": encoder, "detector": detector}
        given = {_NAMES[name]: os.fspath(path) for name, path in paths.items() if path}
        given |= {_NAMES.get(name, name): value for name, value in settings.items()}
        network, swap, label = from_names(_OF_SWAPPER, given, _NAMES)
        loaded = networks.load_networks(network)
        for warning in loaded.warnings:
            logging.getLogger("absl").warning(warning)
        self._loaded, self._swap_settings, self._networks = loaded, swap, network
        self._labeller = labels.Labeller(label)
        self._labeller.generator = loaded.names["generator"]

    @classmethod
    def from_preset(cls, name: str, **settings: Any) -> Swapper:
        """Returns a swapper with a generator of the catalogue of weights.

        Args:
            name: Key of `facedancer.storage.weights.CATALOGUE`.
            **settings: See the class.

        Raises:
            InputError: If there is no such generator, or its file is not there.
        """
        return cls(generator=weights.find_named("generator", name), **settings)

    @property
    def names(self) -> dict[str, str]:
        """Generator, encoder, detector and engine at work, by role."""
        return dict(self._loaded.names)

    def with_settings(self, **settings: Any) -> Swapper:
        """Returns a swapper of the same networks that puts faces back another way.

        Args:
            **settings: Settings of how faces are put back by the names of their flags,
                such as `strength=1.2` or `mask="legacy"`; the others stay.

        Raises:
            InputError: If a value cannot be used.
            TypeError: If there is no setting of that name.
        """
        other, now = copy.copy(self), dataclasses.asdict(self._swap_settings)
        (other._swap_settings,) = from_names((SwapSettings,), now | settings)
        return other

    def people(self, target: str | os.PathLike) -> list[Person]:
        """Returns the people of a photo or clip, numbered as by `facedancer faces`.

        Args:
            target: A photo, a video, an animation or a folder of pictures.

        Raises:
            InputError: If it cannot be read or shows no face.
        """
        return find_people(
            pathlib.Path(target),
            self._loaded.detector,
            self._loaded.embedder,
            self._swap_settings.threshold,
        )

    def faces(self, photo: Photo) -> FoundFaces:
        """Returns the faces of a photo.

        Args:
            photo: A path, a PIL image, or a `(height, width, 3)` uint8 RGB array.

        Raises:
            InputError: If it is no photo.
        """
        image = pixels_of(photo)
        faces = search_photos(self._loaded.detector, [image])[0]
        crops = [self._crop(image, points) for points in faces.landmarks]
        if not crops:
            return FoundFaces(faces, (), np.zeros((0, 0), np.float32))
        vectors = self._loaded.embedder.embed(np.stack(crops))
        people = tuple(
            Identity(vector, self._loaded.names["encoder"], f"face {index + 1}")
            for index, vector in enumerate(vectors)
        )
        return FoundFaces(faces, people, cosine_matrix(vectors, vectors))

    def identity(
        self, photos: Photo | Identity | Sequence[Photo | Identity]
    ) -> Identity:
        """Returns the mean identity of photos of one person, to be used again.

        Args:
            photos: A photo or several: paths (also of folders), PIL images, arrays; of
                several faces on one the largest near the middle is taken. Identities
                are taken as they are.

        Raises:
            InputError: If a photo has no face, or an identity is of another encoder.
        """
        some: list[Any] = [photos]
        if isinstance(photos, Sequence) and not isinstance(photos, str):
            some = list(photos)
        if not some:
            raise InputError("At least one photo of the person must be given")
        if len(some) == 1 and isinstance(some[0], Identity):
            return check_encoder(some[0], self._loaded.names["encoder"])
        vectors, bare = map(np.stack, zip(*map(self._vectors, some), strict=True))
        name = ", ".join(name_of(one) for one in some)
        return Identity(
            mean_of_embeddings(vectors),
            self._loaded.names["encoder"],
            name,
            None if np.array_equal(vectors, bare) else mean_of_embeddings(bare),
        )

    def _vectors(self, one: Photo | Identity) -> tuple[np.ndarray, np.ndarray]:
        """Returns the vector of a person, and the one without glasses."""
        if isinstance(one, Identity):
            known = check_encoder(one, self._loaded.names["encoder"])
            return known.vector, known.vector if known.bare is None else known.bare
        loaded = self._loaded
        reader = identities.IdentityReader(loaded.detector, loaded.embedder)
        if isinstance(one, str | os.PathLike):
            crops = reader.crops([one])
        else:
            crop, note = reader.crop_in(pixels_of(one), name_of(one))
            crops = crop[None]
            reader.notes += [note] if note else []
        for note in reader.notes:
            logging.getLogger("absl").warning(note)
        vectors = bare = reader.embed(crops)
        if glasses := source_glasses.find(loaded.parser, loaded.names["encoder"]):
            bare = glasses(vectors, crops)
        return mean_of_embeddings(vectors), mean_of_embeddings(bare)

    def _crop(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        contract = self._loaded.embedder.encoder.contract
        return identities.crop_of(Rgb(image), landmarks, contract)

    def swap(
        self,
        target: Photo,
        source: Photo | Identity | Sequence[Photo | Identity] | None = None,
        people: Sequence[tuple[Any, Any]] = (),
    ) -> SwappedImage:
        """Returns a photo with swapped faces.

        Args:
            target: A path, a PIL image, or a `(height, width, 3)` uint8 RGB array.
            source: Whose face everybody gets who is not named in `people`: what
                `identity` takes; for a generator that knows certain people, the name
                or number of one.
            people: Pairs `(who, becomes)`, what `identity` takes and what `source`
                takes; `becomes` None: this person stays.

        Raises:
            InputError: If no face was found or none is to be swapped.
        """
        return self.swap_batch([target], source, people)[0]

    def swap_batch(
        self,
        targets: Sequence[Photo],
        source: Photo | Identity | Sequence[Photo | Identity] | None = None,
        people: Sequence[tuple[Any, Any]] = (),
    ) -> list[SwappedImage]:
        """Returns several photos with swapped faces; all are searched together.

        Args:
            targets: Each what `swap` takes.
            source: See `swap`.
            people: See `swap`.

        Raises:
            InputError: If in one of them no face was found or none is to be swapped.
        """
        swapper, results = self._swapper(source, people), []
        for target in targets:
            result = swapper.swap_frame(pixels_of(target))
            swapped = [rule is not None for rule in result.rules]
            if not any(swapped):
                raise InputError(
                    f"{name_of(target)}: {len(result.faces)} faces were found, none to "
                    "be swapped. Lower score_threshold, or check `people`"
                )
            marked = self._labeller.mark(result.image, 0)
            results.append(
                SwappedImage(marked, result.faces, swapped, target, self._labeller)
            )
        return results

    def swap_video(
        self,
        clip: str | os.PathLike,
        source: Photo | Identity | Sequence[Photo | Identity] | None = None,
        output: str | os.PathLike = "",
        people: Sequence[tuple[Any, Any]] = (),
        on_progress: Callable[[int, int | None], object] | None = None,
        **settings: Any,
    ) -> ClipResult:
        """Writes a clip with swapped faces, marked and signed, with its sound.

        Args:
            clip: A video, a GIF, an animated WebP or a folder of pictures.
            source: See `swap`.
            output: File or folder to write, of the forms that `--output` of the
                program takes.
            people: See `swap`.
            on_progress: Called with the number of finished frames, and of all frames
                where it is known.
            **settings: Settings of the program by the names of their flags, such as
                `length=10.0` or `crf=20`.

        Raises:
            InputError: If the clip cannot be used, no face was swapped, or the output
                cannot be written.
            TypeError: If there is no setting of that name.
        """
        swapper = self._swapper(source, people)
        clip_settings, stages, encode = from_names(_OF_CLIP, settings)
        job = clip_job.ClipJob(
            pathlib.Path(clip),
            pathlib.Path(output),
            clip_settings,
            stages,
            encode,
            describe=str((self._networks, self._swap_settings, swapper.rules)),
            on_progress=on_progress,
        )
        if not os.fspath(output):
            raise InputError("Where is the clip to be written? Give `output`")
        plan.check_output(job, clip_job.open_reader(job))
        report = clip_job.swap_clip(job, swapper, self._labeller)
        report["networks"] = self.names
        return ClipResult(
            pathlib.Path(report["output"]),
            report["frames"],
            report["faces_swapped"],
            report["provenance"],
            (*report["notes"], *report["streams"]),
            tuple((start, end) for start, end in report["damage"]),
            report,
        )

    def _told(self, source: Any) -> tuple[str, np.ndarray | int, np.ndarray | None]:
        """Returns name, source and picture of a rule, as the generator is told them."""
        contract = self._loaded.contract
        told, looks = contract.identity, "reference" in contract.inputs
        if told.kind != "vector" and not looks:
            return str(source), options.number_of([str(source)], told), None
        several = isinstance(source, Sequence) and not isinstance(source, str)
        first = source[0] if several and source else source
        picture = self._picture(first) if looks else None
        if told.kind != "vector":
            return name_of(first), 0, picture
        person = self.identity(source)
        drop = self._swap_settings.source_glasses == "drop"
        bare = person.bare if drop and person.bare is not None else person.vector
        return person.name, bare, picture

    def _picture(self, photo: Photo | Identity) -> np.ndarray | None:
        """Returns the crop that a generator is shown of a source; None of a vector."""
        if isinstance(photo, Identity):
            return None
        loaded, contract = self._loaded, self._loaded.contract.image
        reader = identities.IdentityReader(loaded.detector, loaded.embedder)
        if isinstance(photo, str | os.PathLike):
            return reader.picture(photo, contract)
        return reader.crop_in(pixels_of(photo), name_of(photo), contract)[0]

    def _swapper(self, source: Any, people: Sequence[tuple[Any, Any]]) -> FaceSwapper:
        loaded, rules = self._loaded, []
        for who, becomes in people:
            person = self.identity(who)
            goal, picture = None, None
            if becomes is not None:
                _, goal, picture = self._told(becomes)
            rules.append(identities.Rule(person.name, person.vector, goal, picture))
        if source is not None:
            name, goal, picture = self._told(source)
            rules.append(identities.Rule(name, None, goal, picture))
        if not rules:
            raise InputError("Whose face is to be put in? Give `source` or `people`")
        return FaceSwapper(
            loaded.engine,
            loaded.contract,
            loaded.detector,
            loaded.embedder,
            rules,
            self._swap_settings,
            loaded.parser,
            loaded.refiner,
        )
