"""What runs the generator: Keras on any device, OpenVINO on CPUs.

An engine is called as `engine(targets, identities)`: `(n, size, size, 3)` float32 in
[-1, 1] and `(n, d)` float32 give `(n, size, size, 3)` float32, for any n.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import keras
import numpy as np

from facedancer import images, openvino_core
from facedancer.errors import InputError
from facedancer.models import fuse
from facedancer.video_swap.engines import quantization
from facedancer.video_swap.settings import ENGINES

PRECISIONS = {"keras": ("f32", "bf16", "f16"), "openvino": ("f32", "bf16", "int8")}


class KerasEngine:
    """Runs a generator through one compiled function.

    Args:
        generator: What `load_generator` or a builder gave; it is fused here.
        precision: `"f32"`, or `"bf16"` or `"f16"` for mixed precision.
        shares: See `add_shares`.
        jit: Whether XLA compiles it; None: on GPUs only (on CPUs it is slower).

    Raises:
        InputError: If the precision is unknown.
    """

    name = "keras"

    def __init__(
        self,
        generator,
        precision: str = "f32",
        shares: bool = False,
        jit: bool | None = None,
    ):
        _check_precision(precision, PRECISIONS["keras"])
        if jit is None:
            jit = bool(_gpus())
        self.precision = precision
        model = _in_precision(fuse(generator), precision)
        self.call = _compiled(add_shares(model) if shares else model, jit)

    def __call__(self, targets: np.ndarray, identities: np.ndarray) -> np.ndarray:
        """Returns the swapped crops.

        Args:
            targets: `(n, size, size, 3)` float32 in [-1, 1].
            identities: `(n, d)` float32.
        """
        return np.asarray(self.call(targets, identities), np.float32)


def _compiled(generator, jit):
    if keras.backend.backend() != "tensorflow":
        return lambda x, z: keras.ops.convert_to_numpy(generator([x, z]))
    import tensorflow as tf

    @tf.function(jit_compile=jit, reduce_retracing=not jit)
    def call(targets, identities):
        return generator([targets, identities], training=False)

    return lambda x, z: call(tf.constant(x), tf.constant(z)).numpy()


def _gpus(visible=True):
    if keras.backend.backend() != "tensorflow":
        return []
    import tensorflow as tf

    config = tf.config
    find = config.get_visible_devices if visible else config.list_physical_devices
    return find("GPU")


def _in_precision(fused, precision):
    """Returns the same model computing in half precision, its weights in float32."""
    if precision == "f32":
        return fused
    policy = {"bf16": "mixed_bfloat16", "f16": "mixed_float16"}[precision]
    return fused.variant(dtype=policy)


def use_device(device_id: int) -> None:
    """Lets TensorFlow use one GPU, or none; must come before anything is computed.

    Args:
        device_id: Number of the GPU, -1 for the CPU. Without a GPU 0 means the CPU.

    Raises:
        InputError: If there is no such GPU.
    """
    gpus = _gpus(visible=False)
    if not -1 <= device_id < max(len(gpus), 1):
        raise InputError(
            f"--device_id must be -1 (CPU) or below {max(len(gpus), 1)} on this "
            f"machine. Received: {device_id}"
        )
    if not gpus:
        return
    import tensorflow as tf

    chosen = [] if device_id == -1 else [gpus[device_id]]
    try:
        tf.config.set_visible_devices(chosen, "GPU")
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        if tf.config.get_visible_devices("GPU") != chosen:
            raise InputError(
                "--device_id cannot be changed once TensorFlow computes"
            ) from None


class OpenVINOEngine:
    """Runs a generator by OpenVINO on the CPU, each face by itself, several at a time.

    Threads that share one face wait for each other, and in a swap other stages take
    their turns on the same cores; faces side by side need no waiting.

    Args:
        generator: What `load_generator` or a builder gave; it is fused here.
        precision: `"f32"`, `"bf16"` or `"int8"` (see `quantization`); never left to the
            library, which would take bf16 silently on a CPU that has it.
        shares: See `add_shares`.
        embed: For int8: gives the identity vectors of `(n, size, size, 3)` uint8 faces.

    Raises:
        InputError: If OpenVINO is not installed or the precision is unknown.
    """

    name = "openvino"

    def __init__(
        self,
        generator,
        precision: str = "f32",
        shares: bool = False,
        embed: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        _check_precision(precision, PRECISIONS["openvino"])
        if importlib.util.find_spec("openvino") is None:
            raise InputError(
                '--engine=openvino needs OpenVINO: pip install "facedancer[cpu]", or '
                "take --engine=keras"
            )
        # Half precision has its own units for products, which need no fewer of them.
        model = fuse(generator, norm_form="plain", fast_convolutions=precision == "f32")
        # Kept: the compiled model may still point into the weights.
        self.precision, self.model = precision, add_shares(model) if shares else model
        self.shape = self.model.output.shape[1:]
        converted = _openvino_model(self.model)
        self.places = _input_places(converted)
        if precision == "int8":
            self._quantize(converted, embed)
        hint = "f32" if precision == "int8" else precision
        self.compiled = openvino_core.core().compile_model(
            converted,
            "CPU",
            {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "THROUGHPUT"},
        )
        count = self.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self.requests = [self.compiled.create_infer_request() for _ in range(count)]

    def _quantize(self, converted, embed):
        if embed is None:
            raise ValueError("int8 needs `embed` for its example faces. Received: None")
        faces = quantization.example_faces(self.shape[0])
        targets = images.signed_from_uint8(faces)
        pairs = zip(targets, np.roll(embed(faces), 1, axis=0), strict=True)
        quantization.quantize(
            converted,
            [{self.places[4]: x[None], self.places[2]: z[None]} for x, z in pairs],
        )

    def __call__(self, targets: np.ndarray, identities: np.ndarray) -> np.ndarray:
        """Returns the swapped crops.

        Args:
            targets: `(n, size, size, 3)` float32 in [-1, 1].
            identities: `(n, d)` float32.
        """
        output = np.empty((len(targets), *self.shape), np.float32)
        for i in range(len(targets) + len(self.requests)):
            request = self.requests[i % len(self.requests)]
            done = i - len(self.requests)
            if done >= 0:
                request.wait()
                output[done] = request.get_output_tensor(0).data[0]
            if i < len(targets):
                given = {self.places[4]: targets[i : i + 1]}
                request.start_async(given | {self.places[2]: identities[i : i + 1]})
        return output


def _input_places(model):
    """Returns the place of each input by its number of axes."""
    return {
        len(port.get_partial_shape()): place for place, port in enumerate(model.inputs)
    }


def _openvino_model(generator):
    import openvino
    import tensorflow as tf

    # Operations are joined only where all shapes are known: a tenth faster.
    signature = [
        tf.TensorSpec((1, *tensor.shape[1:]), tf.float32) for tensor in generator.inputs
    ]

    @tf.function(input_signature=signature)
    def call(targets, identities):
        return generator([targets, identities], training=False)

    # With shared weights OpenVINO would read memory that is freed with the model.
    return openvino.convert_model(call.get_concrete_function(), share_weights=False)


def _check_precision(precision, known):
    if precision not in known:
        raise InputError(
            f"--precision must be one of {', '.join(known)} for this engine. "
            f"Received: {precision}"
        )


def make_engine(
    generator,
    name: str = "auto",
    precision: str = "f32",
    shares: bool = False,
    embed: Callable[[np.ndarray], np.ndarray] | None = None,
):
    """Returns the engine for a generator.

    Args:
        generator: What `load_generator` or a builder gave; it is fused here.
        name: One of `ENGINES`; `"auto"` is OpenVINO on a CPU where it is installed,
            else Keras.
        precision: See the engines.
        shares: See `add_shares`.
        embed: See `OpenVINOEngine`.

    Raises:
        InputError: If the name or precision is unknown or the engine is missing.
    """
    if name not in ENGINES:
        raise InputError(
            f"--engine must be one of {', '.join(ENGINES)}. Received: {name}"
        )
    if name == "auto":
        fits = (
            keras.backend.backend() == "tensorflow"
            and not _gpus()
            and importlib.util.find_spec("openvino") is not None
            and precision in PRECISIONS["openvino"]
        )
        name = "openvino" if fits else "keras"
    if name == "openvino":
        return OpenVINOEngine(generator, precision, shares, embed)
    return KerasEngine(generator, precision, shares)


def add_shares(fused) -> keras.Model:
    """Returns a generator whose output has a fourth channel.

    It is the mask of the largest fusion block, averaged over its channels: near 1 where
    the picture comes from the identity, near 0 where the target is let through, which a
    generator learns to do with what covers a face.

    Args:
        fused: A fused generator.

    Raises:
        InputError: If none of its blocks has a mask (no fusion of the AFFA kinds).
    """
    blends = [layer for layer in fused.layers if layer.name.endswith("_blend")]
    if not blends:
        raise InputError(
            "--occlusion=generator needs a generator with AFFA fusion. Received: "
            f"{', '.join(fused.config.up_types)}"
        )
    share = max(blends, key=lambda layer: layer.output.shape[1]).input[0]
    share = keras.ops.mean(share, axis=-1, keepdims=True)
    times = fused.output.shape[1] // share.shape[1]
    if times > 1:
        share = keras.layers.UpSampling2D(times, interpolation="bilinear")(share)
    parts = [keras.ops.cast(part, "float32") for part in (fused.output, share)]
    return keras.Model(fused.inputs, keras.ops.concatenate(parts, axis=-1))
