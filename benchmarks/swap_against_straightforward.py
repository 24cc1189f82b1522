"""Compares the pipeline with the straightforward way, in one run, on equal frames.

python benchmarks/swap_against_straightforward.py --frames=12 --precision=f32

Straightforward: frame after frame; detect, align, `model.predict` of the plain
generator for one face, paste, write a PNG; at the end all PNGs are read and encoded.
Ours: fused generator, compiled engine, batches, stages side by side, no files between.
The detector, the alignment, the mask and the encoder are the same. Prints wall and CPU
seconds and the largest difference of the pictures before they are encoded.
"""

import pathlib
import tempfile
import time
from fractions import Fraction

import numpy as np

from facedancer import alignment, cli, images
from facedancer.video_swap import (
    benchmark,
    clip_swap,
    masks,
    paste,
    segments,
    video,
    video_writer,
)


def define_flags(flag_values):
    """Defines the flags of this program.

    Args:
        flag_values: Where the flags are defined.
    """
    cli.define_from(benchmark.BenchmarkSettings, flag_values)


def straightforward(swapper, generator, frames, folder):
    """Returns the seconds it takes, wall and CPU, and the pictures."""
    wall, cpu = time.perf_counter(), time.process_time()
    identity = swapper.rules[0].source[None]
    for i, frame in enumerate(frames):
        result = frame.copy()
        for landmarks in swapper.detector.detect(frame).landmarks:
            contract = generator.contract
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
    info = video.ClipInfo(path, (width, height), Fraction(25), Fraction(1, 25))
    encoder = video_writer.SegmentEncoder(
        path, info, video.Colour(1, 1, 1), video_writer.EncodeSettings()
    )
    for i, image in enumerate(pictures):
        encoder.write(video.Frame(i, image, i, 1))
    encoder.close()


def ours(swapper, frames, folder, detect_every):
    """Returns the seconds it takes, wall and CPU, and the pictures."""
    height, width = frames[0].shape[:2]
    info = video.ClipInfo(folder, (width, height), Fraction(25), Fraction(1, 25))
    sink = segments.SegmentSink(
        folder / f"parts_{detect_every}",
        "",
        info,
        video.Colour(1, 1, 1),
        video_writer.EncodeSettings(),
    )
    settings = clip_swap.StageSettings(smoothing=0.0, detect_every=detect_every)
    wall, cpu = time.perf_counter(), time.process_time()
    made = (video.Frame(i, image, i, 1) for i, image in enumerate(frames))
    pictures = []
    for step in clip_swap.steps(made, swapper, settings, lambda image, i: image):
        sink.write(step)
        pictures.append(step.image)
    sink.close()
    return time.perf_counter() - wall, time.process_time() - cpu, pictures


def main(flag_values):
    """Prints the table and returns the exit status.

    Args:
        flag_values: Parsed flags.
    """
    settings = cli.settings_from(benchmark.BenchmarkSettings, flag_values)
    generator = benchmark.make_generator(settings)
    swapper, _ = benchmark.make_swapper(settings, generator)
    print("| size | faces | way | wall s | CPU s | wall ratio | CPU ratio | max diff |")
    print("|---|---|---|---|---|---|---|---|")
    for size in settings.sizes:
        for faces in settings.faces:
            compare(swapper, generator, settings, size, faces)
    return cli.DONE


def compare(swapper, generator, settings, size, faces):
    """Prints the rows of one size."""
    frames = benchmark.make_frames(size, faces, settings.frames)
    # Both ways are measured warm.
    with tempfile.TemporaryDirectory() as name:
        ours(swapper, frames[:8], pathlib.Path(name), 1)
    warm = np.zeros((1, *generator.input_shape[0][1:]), np.float32)
    generator.predict([warm, swapper.rules[0].source[None]], verbose=0)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        wall, cpu, plain = straightforward(swapper, generator, frames, folder)
        print(f"| {size} | {faces} | straightforward | {wall:.1f} | {cpu:.1f} | | | |")
        for every in (1, 3):
            w, c, pictures = ours(swapper, frames, folder, every)
            pairs = zip(plain, pictures, strict=True)
            most = max(np.abs(a.astype(int) - b).max() for a, b in pairs)
            print(
                f"| {size} | {faces} | {settings.precision}, search 1 in {every} | "
                f"{w:.1f} | {c:.1f} | {wall / w:.2f} | {cpu / c:.2f} | {most} |",
                flush=True,
            )


if __name__ == "__main__":
    cli.run(main, define_flags)
