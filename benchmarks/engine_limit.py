"""How near the OpenVINO engine comes to the fastest convolution of this machine.

    python benchmarks/engine_limit.py --preset=facedancer_c --precisions=f32,bf16

Every convolution of the fused generator is timed by itself, on an image of its size,
in the library and with the threads of the engine. If all of the generator's arithmetic
ran as fast as the fastest of them, and nothing else cost anything, it would take the
time in the column "at least"; in float32 the engine does less arithmetic than this, see
`models.fast_convolution`. Whole generator and single convolutions take turns, and
the smallest time counts.
"""

from __future__ import annotations

import time

import keras
import numpy as np
from absl import app, flags

from facedancer import models
from facedancer.inference import openvino_core
from facedancer.models.layers.resampling import JoinedConv2D, PooledConv2D
from facedancer.video_swap.engines.openvino_engine import OpenVINOEngine

FLAGS = flags.FLAGS


_Convolution = keras.layers.Conv2D | JoinedConv2D | PooledConv2D


def bare_convolution(layer: _Convolution):
    """Returns an OpenVINO model of one convolution, without bias and activation.

    Args:
        layer: A layer of a functional model, channels last, padding "same"; joined
            maps are taken as one, and pooling is left out.
    """
    import openvino
    from openvino import opset13

    shape = image_shape(layer)
    strides = [shape[1] // layer.output.shape[1]] * 2
    image = opset13.parameter((1, *shape), np.float32)
    kernel = layer.kernel.numpy().transpose(3, 2, 0, 1)
    output = opset13.convolution(
        image,
        opset13.constant(np.ascontiguousarray(kernel)),
        strides,
        [0, 0],
        [0, 0],
        [1, 1],
        auto_pad="same_upper",  # a kernel of 1x1 has no padding
    )
    return openvino.Model([output], [image], layer.name)


def image_shape(layer: _Convolution) -> tuple[int, int, int]:
    """Returns channels, height and width of what a convolution reads."""
    maps = layer.input if isinstance(layer.input, list) else [layer.input]
    return sum(x.shape[-1] for x in maps), *maps[0].shape[1:3]


def operations(layer: _Convolution) -> float:
    """Returns multiplications and additions of one image."""
    height, width = layer.output.shape[1:3]
    return 2.0 * height * width * int(np.prod(layer.kernel.shape))


class Bare:
    """Runs one convolution on several images at a time, as the engine runs faces."""

    def __init__(self, layer, precision):
        compiled = openvino_core.core().compile_model(
            bare_convolution(layer),
            "CPU",
            {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"},
        )
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self.requests = [compiled.create_infer_request() for _ in range(count)]
        shape = (1, *image_shape(layer))
        self.image = np.random.default_rng(0).normal(size=shape).astype(np.float32)

    def __call__(self, count):
        for number in range(count):
            request = self.requests[number % len(self.requests)]
            request.wait()
            request.start_async({0: self.image})
        for request in self.requests:
            request.wait()


def seconds(function) -> float:
    """Returns how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(generator, precision, count, repeats):
    """Returns milliseconds an image: of the engine, and of each convolution by layer.

    Args:
        generator: What a builder gave.
        precision: See `OpenVINOEngine`.
        count: Images a turn.
        repeats: Turns.
    """
    engine = OpenVINOEngine(generator, precision)
    feeds = generator.example_inputs(count)
    fused = models.fuse(generator)
    layers = [x for x in fused.layers if isinstance(x, _Convolution)]
    bare = [Bare(layer, precision) for layer in layers]
    whole, single = np.inf, np.full(len(bare), np.inf)
    engine(feeds)
    for _ in range(repeats):
        whole = min(whole, seconds(lambda: engine(feeds)))
        for index, one in enumerate(bare):
            one(2)
            single[index] = min(single[index], seconds(lambda one=one: one(count)))
    return 1e3 * whole / count, layers, 1e3 * single / count


def main(argv):
    del argv
    generator = models.build_generator(models.get_preset(FLAGS.preset))
    print("| precision | generator, ms | GFLOP/s | fastest, GFLOP/s | at least, ms |")
    print("|---|---|---|---|---|")
    for precision in FLAGS.precisions:
        whole, layers, single = measure(
            generator, precision, FLAGS.images, FLAGS.repeats
        )
        work = np.array([operations(layer) for layer in layers]) / 1e6
        fastest = (work / single).max()
        numbers = whole, work.sum() / whole, fastest, work.sum() / fastest
        print(f"| {precision} |", " | ".join(f"{x:.0f}" for x in numbers), "|")


if __name__ == "__main__":
    flags.DEFINE_string("preset", "facedancer_c", "Name of the structure.")
    flags.DEFINE_list("precisions", ["f32", "bf16"], "Arithmetic of the engine.")
    flags.DEFINE_integer("images", 8, "Images a turn.")
    flags.DEFINE_integer("repeats", 5, "Turns; the fastest counts.")
    app.run(main)
