"""Settings that the swapping programs share; reading them needs no network library."""

from __future__ import annotations

import dataclasses

from facedancer.flags.settings import Checked, choice, ranged, repeated, setting
from facedancer.imaging.image_formats import MAX_PIXELS
from facedancer.video_swap.compositing.mask_kinds import MASKS

ENGINES = ("auto", "keras", "openvino", "onnxruntime", "litert")
DEVICES = ("auto", "cpu", "cuda", "coreml", "directml")
PRECISIONS = ("f32", "bf16", "f16", "int8")
ORDERS = ("all", "largest", "best", "left", "right", "top", "bottom")
COLOURS = ("none", "lab", "adain", "adain_xyz", "hist_match", "target_chroma")
NONE = "none"  # in the place of a file: without this network
REFINERS = ("auto", "none", "detail", "network")
# Which face of a source photo; or a number, 1 for the leftmost.
SOURCE_FACES = ("main", "largest", "best", "left", "right", "top", "bottom")


def split_pair(pair: str) -> tuple[str, str]:
    """Returns reference and source of a `--map`.

    Args:
        pair: `REFERENCE=SOURCE`.

    Raises:
        ValueError: If it is not that.
    """
    reference, sign, source = pair.partition("=")
    if not (sign and reference and source):
        raise ValueError(f"--map must be REFERENCE=SOURCE. Received: {pair}")
    return reference, source


def split_pick(pair: str) -> tuple[int, str]:
    """Returns number and source of a `--pick`.

    Args:
        pair: `NUMBER=SOURCE`.

    Raises:
        ValueError: If it is not that.
    """
    number, sign, source = pair.partition("=")
    if not (sign and source and number.isascii() and number.isdecimal()):
        raise ValueError(f"--pick must be NUMBER=SOURCE. Received: {pair}")
    return int(number), source


def check_face(which: str) -> None:
    """Refuses what names no face.

    Args:
        which: A word of `SOURCE_FACES`, or a number from 1 on, from the left.

    Raises:
        ValueError: If it is neither.
    """
    if which not in SOURCE_FACES and not face_number(which):
        raise ValueError(
            f"--source_face must be one of {', '.join(SOURCE_FACES)}, or a number: 1 "
            f"is the leftmost face of the photo. Received: {which}"
        )


def face_number(which: str) -> int:
    """Returns the number of a face; 0 where it is given by a word.

    Args:
        which: See `check_face`.
    """
    return int(which) if which.isascii() and which.isdecimal() else 0


@dataclasses.dataclass(frozen=True)
class NetworkSettings(Checked):
    """Which networks, and what runs them.

    Attributes:
        facedancer_path: Generator, .onnx (by facedancer convert), .tflite (by
            facedancer export), .h5 or .keras; empty: the packaged one.
        arcface_path: Identity encoder, in the same forms; empty: the packaged one.
        retina_path: Face detector, in the same forms; empty: the packaged one; mtcnn:
            that package.
        parsing_path: Face parser (19 classes of CelebAMask-HQ), .onnx or .keras: hair,
            glasses, hands and what else covers a face stays; empty: the packaged one;
            none: without.
        refiner_path: Face refiner of --refine=network, .onnx or .keras; empty: the
            packaged one; none: without.
        device_id: Number of TensorFlow's GPU; -1 for the CPU.
        engine: What runs the networks: auto (openvino on a CPU, keras where TensorFlow
            has a GPU), keras, openvino, onnxruntime or litert (also of a .tflite).
        device: Where ONNX Runtime computes: cuda (NVIDIA), coreml (Mac), directml
            (Windows) or cpu; another than cpu means --engine=onnxruntime.
        precision: Arithmetic of the generator: f32, bf16, f16 (keras, litert) or int8
            (openvino: colours off by half a step of 255 on average, some by more;
            litert). A .tflite file has its own.
        occlusion: none, or generator: leave out what the generator's own fusion masks
            take from the target. See also --parsing_path.
        score_threshold: Smallest score of a face, 0 to 1. A false face is seen at once,
            a missed one can be had with a lower value.
        working_size: Longer side of the frame in pixels while faces are searched; 0:
            full size. Larger finds smaller faces.
        min_face: Smallest face in pixels that is swapped.
        multi_angle: Search for faces that lie on the side or upside down too; four
            times the work.
    """

    facedancer_path: str = setting("", essential=True)
    arcface_path: str = setting("", essential=True)
    retina_path: str = setting("", essential=True)
    parsing_path: str = ""
    refiner_path: str = ""
    device_id: int = 0
    engine: str = choice("auto", ENGINES)
    device: str = choice("auto", DEVICES)
    precision: str = choice("f32", PRECISIONS)
    occlusion: str = choice("none", ("none", "generator"))
    score_threshold: float = ranged(0.7, low=0.0, high=1.0)
    working_size: int = ranged(640, low=0)
    min_face: int = ranged(0, low=0)
    multi_angle: bool = False


@dataclasses.dataclass(frozen=True)
class SwapSettings(Checked):
    """Which faces are swapped, and how they are put back.

    Attributes:
        faces: Which faces: all, largest, best, left, right, top or bottom.
        threshold: Cosine from which a face is taken as the person of a reference photo;
            0: the encoder's own.
        strength: Identity of the result: 0 the target's, 1 the source's, as the
            generator shows it best, above 1 exaggerated.
        source_glasses: Glasses of the source: drop (they would come over as rings and
            shadows around the eyes) or keep. They are known by the face parser, with
            the packaged encoder.
        mask: Shape that is pasted: face is that of the face, brows to chin, legacy the
            original's soft rectangle.
        colour: Colour correction: none, lab, adain, adain_xyz, hist_match or
            target_chroma (the target's colours).
        sharpen: Amount of sharpening of the swapped face; 0 for none.
        match_sharpness: Soften the swapped face where the target is out of focus.
        refine: Fine detail of faces that are larger than the generator's size: none
            (soft), detail (the target's own, where both faces agree), network (what
            a network takes from the target and adds), or auto (network in photos,
            detail in clips, where it is quicker and steadier).
        pixel_boost: Work at this many times the generator's size (1 to 4), by as many
            passes squared over interleaved pixels.

    Raises:
        ValueError: If a value is unknown or out of range.
    """

    faces: str = choice("all", ORDERS)
    threshold: float = ranged(0.0, low=-1.0, high=1.0)
    strength: float = ranged(1.0, low=0.0, high=2.0)
    source_glasses: str = choice("drop", ("drop", "keep"))
    mask: str = choice("face", MASKS)
    colour: str = choice("none", COLOURS)
    sharpen: float = ranged(0.0, low=0.0, high=5.0)
    match_sharpness: bool = False
    refine: str = choice("auto", REFINERS)
    pixel_boost: int = ranged(1, low=1, high=4)


@dataclasses.dataclass(frozen=True)
class ClipSettings(Checked):
    """Which part of a clip is used, and what happens when it does not go well.

    Attributes:
        sample_rate: Use every n-th frame; the times of the others are kept.
        start: Seconds from the beginning at which to start.
        length: Seconds to use; 0: to the end.
        hdr: What to do with HDR video: refuse, or convert to ordinary BT.709.
        deinterlace: Make whole pictures of frames that are two fields, as in old
            broadcasts and DV; without, they stay two fields and are marked so.
        resume: Go on after the last finished segment of a run that was killed, failed
            or was interrupted, and keep the finished segments when this one is or does,
            in the folder .<output>.parts beside the output. For videos only.
        interrupted: What Ctrl-C leaves: nothing, or part (a playable file with what was
            finished; a second Ctrl-C leaves nothing).

    Raises:
        ValueError: If a value is unknown or out of range.
    """

    sample_rate: int = ranged(1, low=1)
    start: float = ranged(0.0, low=0.0)
    length: float = ranged(0.0, low=0.0)
    hdr: str = choice("refuse", ("refuse", "convert"))
    deinterlace: bool = False
    resume: bool = False
    interrupted: str = choice("nothing", ("nothing", "part"))


@dataclasses.dataclass(frozen=True)
class StageSettings(Checked):
    """How the frames of a clip are worked on.

    Attributes:
        batch_size: Faces, of one frame or several, that go through the generator at
            once; 0: 4 on a CPU, 16 on a GPU.
        smoothing: Smoothing of landmarks over time, in frames to either side; 0: off.
        max_gap: Frames without the face up to which a track is filled in; 0: none.
        detect_every: Search every n-th frame only, and take places in a straight line
            between; the frames on both sides of a cut are always searched.
        min_track: Frames in which a face must be found to be swapped; what is seen for
            a moment only is seldom a face. 1: all are swapped.
        parse_every: Look at every n-th frame of a face at the latest for what covers
            it, and sooner where it looks different. 1: at each.
        compare: Write the target beside the result.

    Raises:
        ValueError: If a number is out of its range.
    """

    batch_size: int = ranged(0, low=0)
    smoothing: float = ranged(2.0, low=0.0)
    max_gap: int = ranged(6, low=0)
    detect_every: int = ranged(1, low=1)
    min_track: int = ranged(3, low=1)
    parse_every: int = ranged(4, low=1)
    compare: bool = False

    @property
    def min_finds(self) -> int:
        """`min_track` in searched frames; never only one, if more were asked for."""
        return min(self.min_track, max(2, self.min_track // self.detect_every))


@dataclasses.dataclass(frozen=True)
class PeopleSettings(Checked):
    """Whose face goes where.

    Attributes:
        swap_source: Photo of the person whose face is put in, or a folder of photos of
            that person; of several the mean identity is taken. Of a generator that was
            trained with certain people a name or number; own: the one person it knows.
        label: Name or number of one of the people a generator was trained with; the
            same as --swap_source for such a generator.
        map: REFERENCE=SOURCE: the person on the photo REFERENCE gets the face of
            SOURCE, a photo or folder: the one face of a frame that is most like it.
            Nobody else is swapped, unless --swap_source is given too.
        pick: NUMBER=SOURCE: the person of this number in `facedancer faces` gets the
            face of SOURCE, as with --map.
        only: Photo of a person: nobody else gets the face of --swap_source, but the one
            face of a frame that is most like it.
        never: Photo of a person who is never swapped, and with this person every face
            that --threshold does not tell apart, unless it is clearly more like a photo
            of --map or --only. Goes before --faces.
        source_face: Which face of a source photo that shows several: main (the largest
            near the middle), largest, best, left, right, top, bottom, or a number, 1
            for the leftmost.
        align_source: Search the source photos for a face and align it; without, they
            must be aligned crops.

    Raises:
        ValueError: If nobody is swapped, a --map is no pair, or `source_face` names no
            face.
    """

    swap_source: tuple[str, ...] = repeated(essential=True)
    label: str = ""
    map: tuple[str, ...] = repeated(essential=True)
    pick: tuple[str, ...] = repeated(essential=True)
    only: tuple[str, ...] = repeated(essential=True)
    never: tuple[str, ...] = repeated(flag="except", essential=True)
    source_face: str = SOURCE_FACES[0]
    align_source: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_face(self.source_face)
        if self.label and self.swap_source:
            raise ValueError(
                "--label and --swap_source both say whose face is put in: give one of "
                f"them. Received: {self.label}, {', '.join(self.swap_source)}"
            )
        if not (self.sources or self.map or self.pick):
            raise ValueError(
                "Whose face is to be put in? Give --swap_source=PHOTO, "
                "--map=REFERENCE=SOURCE or --pick=NUMBER=SOURCE"
            )
        if self.only and not self.sources:
            raise ValueError(
                "--only says who gets the face of --swap_source, so that is needed "
                f"too. Received: --only={self.only[0]} without --swap_source. Who is "
                "not named with --map is left alone anyway"
            )
        for pair in self.map:
            split_pair(pair)
        for pair in self.pick:
            split_pick(pair)

    @property
    def sources(self) -> tuple[str, ...]:
        """Who is put in where nothing else is said: photos, or a name or number."""
        return self.swap_source or ((self.label,) if self.label else ())


@dataclasses.dataclass(frozen=True)
class LabelSettings(Checked):
    """How outputs are labelled.

    Attributes:
        provenance: on, or off for research: then neither signature nor watermark.
        visible_label: Write that faces were swapped into the picture.
        signing_key: Private key, PEM, curve P-256; empty: the one of this installation.
        signing_certificate: Its certificates, PEM; empty: those of this installation.

    Raises:
        ValueError: If `provenance` is neither on nor off.
    """

    provenance: str = choice("on", ("on", "off"))
    visible_label: bool = False
    signing_key: str = ""
    signing_certificate: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedSettings(Checked):
    """Settings that the swapping programs share.

    Attributes:
        people: Whose face goes where.
        networks: Networks, and what runs them.
        swap: Which faces are swapped, and how they are put back.
        label: How the result is labelled.
        report: Write a report to this JSON file.
        max_pixels: Largest photo, width times height, that is read; the pictures of a
            GIF or WebP count five times.
    """

    people: PeopleSettings
    networks: NetworkSettings = NetworkSettings()
    swap: SwapSettings = SwapSettings()
    label: LabelSettings = LabelSettings()
    report: str = ""
    max_pixels: int = ranged(MAX_PIXELS, low=1)
