"""Clips, faces and networks made for the tests: what is in them is known."""

import dataclasses
import hashlib
import pathlib
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from facedancer.face import alignment
from facedancer.face.faces import Faces
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.video_swap.media import video_reader
from facedancer.video_swap.provenance import labels
from facedancer.video_swap.swapping import identities, swapper
from tests.hostile import clips

JOINED = "as in joined recordings"  # of a note
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 60, 220)
SIZE_WH = (160, 96)


def background(width, height):
    """A smooth grey picture, so that a codec changes little."""
    x, y = np.meshgrid(np.linspace(0, 60, width), np.linspace(0, 60, height))
    return np.repeat((70 + x + y).astype(np.uint8)[..., None], 3, axis=2)


def scene(*faces, size_wh=SIZE_WH):
    """A picture with a coloured square for each `(colour, left, top, side)`."""
    image = background(*size_wh)
    for colour, left, top, side in faces:
        image[max(top, 0) : top + side, max(left, 0) : left + side] = colour
    return image


class SquareDetector:
    """Takes coloured squares for faces; the aligned crop of one is the square."""

    name = "squares"

    def detect(self, image):
        return self.detect_batch([image])[0]

    def detect_batch(self, images):
        return [self._search(image) for image in images]

    def _search(self, image):
        spread = np.ptp(image.astype(int), axis=2)
        count, _, stats, _ = cv2.connectedComponentsWithStats(
            (spread > 90).astype(np.uint8)
        )
        boxes = [stats[i, :4] for i in range(1, count) if stats[i, 4] > 100]
        boxes = np.array([(x, y, x + w - 1, y + h - 1) for x, y, w, h in boxes])
        boxes = boxes.reshape(-1, 4).astype(float)
        sides = (boxes[:, 2:] - boxes[:, :2] + 1).max(axis=1)
        points = alignment.template(1) * sides[:, None, None] + boxes[:, None, :2] - 0.5
        return Faces(boxes, points, np.full(len(boxes), 0.9))


class BlinkingDetector(SquareDetector):
    """Misses all faces of the frames whose numbers are given."""

    def __init__(self, missed):
        self.missed, self.index = set(missed), -1

    def _search(self, image):
        self.index += 1
        return Faces.empty() if self.index in self.missed else super()._search(image)


@dataclasses.dataclass
class ColourEncoder:
    """What the embedder's `encoder` must have."""

    contract: InputContract = InputContract(32, "signed")
    embedding_size: int = 3
    name_with_hash: str = "colours@00000000"


class ColourEmbedder:
    """The identity of a crop is the colour of its middle."""

    encoder = ColourEncoder()

    def embed(self, crops):
        middle = np.asarray(crops, np.float32)[:, 10:22, 10:22]
        return middle.mean(axis=(1, 2)) - 100.0


class AllSkin:
    """A parser that takes everything for skin."""

    name = "skin"

    def classes(self, crops):
        return np.ones((len(crops), 16, 16), np.uint8)

    def probabilities(self, crops):
        return np.eye(19, dtype=np.float32)[self.classes(crops)]


def named(paint):
    """Returns the engine of a function of targets and vectors."""

    def engine(feeds):
        painted = paint(feeds["target"], feeds["identity"])
        return painted if isinstance(painted, dict) else {"swapped": painted}

    return engine


def colour_engine(targets, vectors):
    """A generator that paints the face in the source's colour."""
    painted = np.empty_like(targets)
    painted[:] = ((vectors + 100.0) / 127.5 - 1.0)[:, None, None]
    return painted


def copying_engine(targets, vectors):
    """A generator that gives its target back."""
    return np.array(targets)


def identity_of(colour):
    """The vector that `ColourEmbedder` gives a face of this colour."""
    return np.array(colour, np.float32) - 100.0


def make_swapper(
    rules=None,
    engine=colour_engine,
    detector=None,
    refiner=None,
    extrapolation=0.0,
    embedder=None,
    **settings,
):
    """A `FaceSwapper` of the parts above; without rules all faces become blue."""
    return swapper.FaceSwapper(
        named(engine),
        SwapContract(
            InputContract(64, "signed"),
            IdentityInput(size=3, extrapolation=extrapolation),
        ),
        detector or SquareDetector(),
        embedder or ColourEmbedder(),
        rules or [identities.Rule("blue", None, identity_of(BLUE))],
        swapper.SwapSettings(**settings),
        refiner=refiner,
    )


def unlabelled():
    """A labeller that leaves everything as it is."""
    return labels.Labeller(labels.LabelSettings(provenance="off"))


def moving_scenes(count, colour=RED):
    """Scenes in which one square moves to the right by 2 pixels a frame."""
    return [scene((colour, 10 + 2 * i, 20, 40)) for i in range(count)]


def write_clip(
    path,
    frames,
    pts=None,
    time_base=Fraction(1, 12800),
    tracks=1,
    codec="libx264",
    pix_fmt="yuv420p",
    matrix=1,
    transfer=1,
    full_range=False,
    audio="aac",
    language=("eng", "deu"),
    aspect=None,
    longer=0.0,
):
    """Writes a clip: given frames at given times, each sound track another tone.

    `longer` are seconds of sound after the last frame.
    """
    pts = [512 * i for i in range(len(frames))] if pts is None else pts
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = frames[0].shape[1], frames[0].shape[0]
        stream.pix_fmt, stream.time_base = pix_fmt, time_base
        if codec == "libx264":
            stream.options = {"crf": "1", "preset": "ultrafast"}
        context = stream.codec_context
        context.time_base = time_base
        context.colorspace, context.color_trc = matrix, transfer
        context.color_primaries = matrix
        context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
        if aspect:
            context.sample_aspect_ratio = aspect
        sounds = []
        for i in range(tracks):
            sound = container.add_stream(audio, rate=16000)
            sound.metadata["language"] = language[i]
            sound.layout = "mono"
            sounds.append(sound)
        space = {1: 1, 6: 5, 9: 9}[matrix]
        for image, time in zip(frames, pts, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                format=pix_fmt,
                src_colorspace=space,
                dst_colorspace=space,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
            )
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        seconds = float(pts[-1] * time_base) + 0.04 + longer
        for i, sound in enumerate(sounds):
            _write_sound(container, sound, seconds, 300.0 * (i + 1))
        container.mux(stream.encode(None))
    return pathlib.Path(path)


def _write_sound(container, stream, seconds, pitch):
    block, rate = 1024, 16000
    for start in range(0, int(seconds * rate), block):
        t = np.arange(start, start + block) / rate
        wave = (0.3 * np.sin(2 * np.pi * pitch * t)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        frame.time_base = Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def sound_digests(path):
    """One MD5 a sound track, of its packets, with its language."""
    found = []
    with av.open(str(path)) as container:
        numbers = [stream.index for stream in container.streams.audio]
    for number in numbers:
        with av.open(str(path)) as container:
            stream = container.streams[number]
            digest = hashlib.md5()
            for packet in container.demux(stream):
                digest.update(bytes(packet))
            found.append((digest.hexdigest(), stream.metadata.get("language")))
    return found


def tiny_generator(encoder="", **values):
    """Returns a generator of 64 pixels with new weights, for vectors of 32."""
    # Here, so that processes that swap by colour start without Keras.
    from facedancer.models import GeneratorConfig, build_generator

    config = {
        "image_size": 64,
        "base_width": 4,
        "max_width": 16,
        "mapping_sizes": (16,),
        "identity_size": 32,
    }
    return build_generator(GeneratorConfig(**config | values, encoder=encoder))


def read(path, **reading):
    """Returns the reader after its reading, and its frames."""
    reader = video_reader.VideoReader(path, **reading)
    return reader, list(reader)


def numbers(frames):
    """Returns the numbers that are drawn into frames."""
    return [clips.number_of(frame.image) for frame in frames]
