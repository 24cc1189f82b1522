"""Compares the pipeline with the straightforward way, in one run, on equal frames.

python benchmarks/swap_against_straightforward.py --frames=12 --precision=f32

Straightforward: frame after frame; detect, align, `model.predict` of the plain
generator for one face, paste, write a PNG; at the end all PNGs are read and encoded.
Ours: fused generator, compiled engine, batches, stages side by side, no files between.
The alignment, the mask and the encoder are the same. The straightforward way runs once
with the same detector and once as the original searches, with a RetinaFace-ResNet50 on
frames 640 pixels wide: its weights do not matter for the time, so it is an untrained
one, and the faces are those the other detector found. Prints wall and CPU seconds and
the largest difference of the pictures before they are encoded.
"""

import pathlib
import tempfile
import time
from fractions import Fraction

import numpy as np

from facedancer import cli
from facedancer.face import alignment
from facedancer.imaging import images
from facedancer.retinaface import RetinaFaceDetector, build_retinaface
from facedancer.retinaface.network import ANCHORS_PER_CELL
from facedancer.video_swap.benchmark_settings import BenchmarkSettings
from facedancer.video_swap.clips import clip_stages, segments, speed
from facedancer.video_swap.compositing import masks, paste
from facedancer.video_swap.media import video_reader, video_writer
from facedancer.video_swap.pixels.picture import Rgb


class OriginalSearch:
    """Takes the time of a RetinaFace-ResNet50 and gives what another detector found."""

    def __init__(self, detector, frames):
        network = build_retinaface("resnet50")
        for level in (1, 2, 3):  # new weights would see half a face everywhere
            bias = network.get_layer(f"classes{level}_conv").bias
            bias.assign(np.tile([9.0, -9.0], ANCHORS_PER_CELL))
        self._slow = RetinaFaceDetector(network)
        self._slow.detect(frames[0])
        self._found = {id(frame): detector.detect(frame) for frame in frames}

    def detect_batch(self, frames):
        """Returns the faces of some of the frames."""
        return [self.detect(frame) for frame in frames]

    def detect(self, frame):
        """Returns the faces of one of the frames."""
        self._slow.detect(frame)
        return self._found[id(frame)]


def straightforward(detector, identity, generator, frames, folder):
    """Returns the seconds it takes, wall and CPU, and the pictures."""
    wall, cpu = time.perf_counter(), time.process_time()
    for i, frame in enumerate(frames):
        result = frame.copy()
        for landmarks in detector.detect(frame).landmarks:
            contract = generator.contract.image
            matrix = alignment.crop_matrix(landmarks, contract.size)
            crop = alignment.crop(frame, matrix, contract.size)
            output = generator.predict(
                [images.signed_from_uint8(crop)[None], identity], verbose=0
            )[0]
            mask = masks.face_mask(alignment.apply(matrix, landmarks), contract.size)
            paste.paste(result, output * 127.5 + 127.5, mask, matrix)
        images.write_image(folder / f"{i:05d}.png", result)
    pictures = [images.read_image(path) for path in sorted(folder.glob("*.png"))]
    encode(pictures, folder / "straightforward.nut")
    return time.perf_counter() - wall, time.process_time() - cpu, pictures


def encode(pictures, path):
    """Encodes pictures as the pipeline does."""
    height, width = pictures[0].shape[:2]
    info = video_reader.ClipInfo(path, (width, height), Fraction(25), Fraction(1, 25))
    encoder = video_writer.SegmentEncoder(
        path, info, video_reader.Colour(1, 1, 1), video_writer.EncodeSettings()
    )
    for i, image in enumerate(pictures):
        encoder.write(video_reader.Frame(i, Rgb(image), i, 1))
    encoder.close()


def ours(swapper, frames, folder, detect_every):
    """Returns the seconds it takes, wall and CPU, and the pictures."""
    height, width = frames[0].shape[:2]
    info = video_reader.ClipInfo(folder, (width, height), Fraction(25), Fraction(1, 25))
    sink = segments.SegmentSink(
        folder / f"parts_{detect_every}",
        "",
        info,
        video_reader.Colour(1, 1, 1),
        video_writer.EncodeSettings(),
    )
    settings = clip_stages.StageSettings(smoothing=0.0, detect_every=detect_every)
    wall, cpu = time.perf_counter(), time.process_time()
    made = (video_reader.Frame(i, Rgb(image), i, 1) for i, image in enumerate(frames))
    pictures = []
    for step in clip_stages.steps(made, swapper, settings, lambda image, i: image):
        sink.write(step)
        pictures.append(step.finished.image)
    sink.close()
    return time.perf_counter() - wall, time.process_time() - cpu, pictures


def main(settings: BenchmarkSettings) -> int:
    """Prints the table and returns the exit status.

    Args:
        settings: What the flags say.
    """
    generator = speed.make_generator(settings)
    swapper, _ = speed.make_swapper(settings, generator)
    print("| size | faces | way | wall s | CPU s | wall ratio | CPU ratio | max diff |")
    print("|---|---|---|---|---|---|---|---|")
    for size in settings.sizes:
        for faces in settings.faces:
            compare(swapper, generator, settings, size, faces)
    return cli.DONE


def compare(swapper, generator, settings, size, faces):
    """Prints the rows of one size."""
    frames = speed.make_frames(size, faces, settings.frames)
    # Both ways are measured warm.
    with tempfile.TemporaryDirectory() as name:
        ours(swapper, frames[:8], pathlib.Path(name), 1)
    warm = np.zeros((1, *generator.input_shape[0][1:]), np.float32)
    identity = swapper.rules[0].source[None]
    generator.predict([warm, identity], verbose=0)
    detectors = {
        "as the original": OriginalSearch(swapper.detector, frames),
        "straightforward": swapper.detector,
    }
    plain = {}
    for name, detector in detectors.items():
        with tempfile.TemporaryDirectory() as folder:
            plain[name] = straightforward(
                detector, identity, generator, frames, pathlib.Path(folder)
            )
        wall, cpu, _ = plain[name]
        print(f"| {size} | {faces} | {name} | {wall:.1f} | {cpu:.1f} | | | |")
    for every in (1, 3):
        with tempfile.TemporaryDirectory() as folder:
            found = ours(swapper, frames, pathlib.Path(folder), every)
        for name, other in plain.items():
            label = f"{settings.precision}, search 1 in {every}, to {name}"
            print_row(size, faces, label, found, other)


def print_row(size, faces, label, found, other):
    """Prints one comparison."""
    (wall, cpu, pictures), (other_wall, other_cpu, others) = found, other
    pairs = zip(others, pictures, strict=True)
    most = max(np.abs(a.astype(int) - b).max() for a, b in pairs)
    print(
        f"| {size} | {faces} | {label} | {wall:.1f} | {cpu:.1f} | "
        f"{other_wall / wall:.2f} | {other_cpu / cpu:.2f} | {most} |",
        flush=True,
    )


if __name__ == "__main__":
    cli.run(main, BenchmarkSettings)
