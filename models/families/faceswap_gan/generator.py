"""faceswap-GAN's encoder, its decoders, and one network of both that swaps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from facedancer.models.families.built_network import BuiltNetwork, SwapperNetwork
from facedancer.models.families.faceswap_gan import blocks
from facedancer.models.families.faceswap_gan.blocks import FaceswapParts
from facedancer.models.families.faceswap_gan.config import SIDE, FaceswapConfig
from facedancer.models.layers.registration import register
from facedancer.networks.tensors import Dtype, Tensor


def inputs_of(config: FaceswapConfig, parts: FaceswapParts) -> list[Tensor]:
    """Returns the inputs of the contract.

    Args:
        config: The structure.
        parts: What to build from.
    """
    size = config.image_size
    return [parts.input((size, size, 3), name) for name in config.contract.inputs]


def encode(
    config: FaceswapConfig, parts: FaceswapParts, inputs: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Returns the map that a decoder is given, 8 places a side, and the code.

    Args:
        config: The structure.
        parts: What to build from.
        inputs: The picture, and with `landmarks` their map.
    """
    x = inputs[0]
    if config.landmarks:
        x = parts.join(x, inputs[1], "encode_landmarks")
    x = parts.filtered(x, config.width, 5, "encode_first", bias=False)
    for i, filters in enumerate(config.halvings):
        x = blocks.down(parts, x, filters, f"encode{i}")
        if i:
            x = parts.normed(x, f"encode{i}_norm")
        if i in (1, 2):
            x = parts.attend(x, f"encode{i}_attention")
    narrow, side = x.shape[-1], SIDE
    if config.bottleneck == "conv":
        while side > 1:
            side //= 2
            x = blocks.down(parts, x, narrow, f"encode_narrow{side}")
            x = parts.normed(x, f"encode_narrow{side}_norm")
    x = parts.put(keras.layers.Flatten(dtype=parts.dtype, name="encode_flat"), x)
    code = _dense(parts, x, config.latent, "encode_code")
    x = _dense(parts, code, SIDE * SIDE * narrow, "encode_spread")
    shape = keras.layers.Reshape(
        (SIDE, SIDE, narrow), dtype=parts.dtype, name="encode_map"
    )
    x, filters = parts.put(shape, x), narrow if config.lite else narrow // 2
    return blocks.up(parts, x, filters, "encode_up", config.lite), code


def _dense(parts: FaceswapParts, x: Tensor, units: int, name: str) -> Tensor:
    layer = keras.layers.Dense(
        units, kernel_initializer="he_normal", dtype=parts.dtype, name=name
    )
    return parts.put(layer, x)


def decode(
    config: FaceswapConfig, parts: FaceswapParts, x: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Returns alpha, picture, and the smaller pictures that help to learn.

    Args:
        config: The structure.
        parts: What to build from.
        x: The encoder's map.
    """
    lite, width, small = config.lite, config.width, []
    x = blocks.up(parts, x, 4 * width, "decode16", lite)
    x = blocks.up(parts, x, 2 * width, "decode32", lite)
    x = parts.attend(x, "decode32_attention")
    x = blocks.up(parts, x, width, "decode64", lite)
    x = blocks.residual(parts, x, "decode64_residual")
    x = parts.attend(x, "decode64_attention")
    side = 64
    while side < config.image_size:
        picture = parts.filtered(x, 3, 5, f"decode{side}_picture")
        small.append(parts.end(picture, "tanh", f"picture{side}"))
        side *= 2
        x = blocks.up(parts, x, width, f"decode{side}", lite)
        x = parts.filtered(x, width, 3, f"decode{side}_after", activation="relu")
    alpha = parts.end(parts.filtered(x, 1, 5, "decode_alpha"), "sigmoid", "alpha")
    picture = parts.end(parts.filtered(x, 3, 5, "decode_picture"), "tanh", "raw")
    return alpha, picture, small


def encoder_graph(
    config: FaceswapConfig, parts: FaceswapParts
) -> tuple[Any, list[Tensor]]:
    """Returns the encoder's inputs, and its map and its code.

    Args:
        config: The structure.
        parts: What to build from.
    """
    inputs = inputs_of(config, parts)
    known, code = encode(config, parts, inputs)
    ends = [parts.end(known, "linear", "known"), parts.end(code, "linear", "code")]
    return _alone(inputs), ends


def decoder_graph(
    config: FaceswapConfig, parts: FaceswapParts
) -> tuple[Tensor, list[Tensor]]:
    """Returns a decoder's input, and alpha, picture and smaller pictures.

    Args:
        config: The structure.
        parts: What to build from.
    """
    widest = config.halvings[-1]
    code = parts.input(
        (2 * SIDE, 2 * SIDE, widest if config.lite else widest // 2), "map"
    )
    alpha, picture, small = decode(config, parts, code)
    return code, [alpha, picture, *small]


def swapper_graph(
    config: FaceswapConfig, parts: FaceswapParts
) -> tuple[Any, list[Tensor]]:
    """Returns the inputs, and picture and alpha by the names of the contract.

    Args:
        config: The structure.
        parts: What to build from.
    """
    inputs = inputs_of(config, parts)
    alpha, picture, _ = decode(config, parts, encode(config, parts, inputs)[0])
    return _alone(inputs), [parts.end(picture, "linear", "swapped"), alpha]


def _alone(inputs: list[Tensor]) -> Any:
    """Returns the inputs as a call gives them: one by itself."""
    return inputs if len(inputs) > 1 else inputs[0]


class _FaceswapNetwork(BuiltNetwork):
    """A network of a `FaceswapConfig`."""

    config_class = FaceswapConfig

    def __init__(
        self,
        config: FaceswapConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str | None = None,
    ) -> None:
        record, policy = self.resolve(config, dtype)
        parts = FaceswapParts(record.norm, record.attention, policy)
        name = name or self.role
        super().__init__(record, parts, name, form=form, dtype=policy.name)


@register
class FaceswapEncoder(_FaceswapNetwork):
    """What both people's pictures go through.

    Args:
        config: Its structure, a `FaceswapConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one.
        name: Name of the model, `None` its role.

    Call arguments:
        inputs: Pictures `(batch, size, size, 3)` in [-1, 1]; with `landmarks` a pair
            with their maps of the same shape.

    Returns:
        A map `(batch, 8, 8, channels)` and the code `(batch, latent)`.
    """

    role = "encoder"
    graph = staticmethod(encoder_graph)


@register
class FaceswapDecoder(_FaceswapNetwork):
    """What draws one person.

    Args:
        config: Its structure, a `FaceswapConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. Pictures are float32.
        name: Name of the model, `None` its role.

    Call arguments:
        inputs: The encoder's maps.

    Returns:
        Alpha `(batch, size, size, 1)` in [0, 1], the picture `(batch, size, size, 3)`
        in [-1, 1], then smaller pictures, the smallest first.
    """

    role = "decoder"
    graph = staticmethod(decoder_graph)


@register
class FaceswapSwapper(SwapperNetwork):
    """Encoder and one decoder as one network: what is exported and swapped with.

    Args:
        config: Its structure, a `FaceswapConfig` or the dict of one.
        form: Kept for files; both forms are the same here.
        dtype: Policy of the layers; `None` is the global one. The outputs are float32.
        name: Name of the model.
        shared: Networks whose layers are used, such as encoder and decoder; None: new
            ones are made.

    Call arguments:
        inputs: As the encoder's.

    Returns:
        The picture `(batch, size, size, 3)` in [-1, 1], and alpha, `(batch, size, size,
        1)` in [0, 1], how much of it is pasted.
    """

    config_class = FaceswapConfig
    role = "generator"
    graph = staticmethod(swapper_graph)

    def __init__(
        self,
        config: FaceswapConfig | dict,
        form: str = "composed",
        dtype: Dtype = None,
        name: str = "generator",
        shared: tuple[keras.Model, ...] = (),
    ) -> None:
        record, policy = self.resolve(config, dtype)
        known = {layer.name: layer for model in shared for layer in model.layers}
        parts = FaceswapParts(record.norm, record.attention, policy, known)
        super().__init__(record, parts, name, form=form, dtype=policy.name)


def swapper_of(
    networks: Mapping[str, Any], decoder: str, shows: int
) -> FaceswapSwapper:
    """Returns the network that shows one of the two people, with shared weights.

    Args:
        networks: With `encoder` and the decoders, by name.
        decoder: Name of the decoder.
        shows: Which of the people it draws, 0 or 1.
    """
    encoder = networks["encoder"]
    settings = encoder.get_config()
    config = {**settings["config"], "shows": shows}
    shared = (encoder, networks[decoder])
    return FaceswapSwapper(config, settings["form"], settings["dtype"], shared=shared)
