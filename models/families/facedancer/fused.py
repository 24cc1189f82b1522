"""The fused form of a generator: the same function with fewer operations.

For inference. Exact up to rounding:

- a convolution and average pooling commute, so means of 2x2 pixels come first, and the
  convolution has a stride of 2;
- two enlarged maps are added before they are enlarged;
- instance norm and AdaIN are one layer, the norm's affine part folded into the
  dense layers of AdaIN;
- the affine part of the norm before a mask is folded into the 1x1 convolution;
- a convolution of joined maps is the sum of convolutions of each, so no map is joined;
- a convolution to few channels gives blocks of 2x2 pixels, see `blockwise_kernel`.

At 256 pixels and the published widths 14.26 instead of 28.86 G multiply-accumulates,
and fewer with `fast_convolutions`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from facedancer.errors import InputError
from facedancer.models.families.built_network import SwapperNetwork
from facedancer.models.families.facedancer.config import GeneratorConfig
from facedancer.models.families.facedancer.generator import generator_graph
from facedancer.models.families.layer_ops import LayerParts
from facedancer.models.layers import fast_convolution, normalization, resampling
from facedancer.models.layers.registration import register
from facedancer.networks.contract import SwapContract
from facedancer.networks.tensors import Dtype, Tensor

_FEW = 4  # channels that leave most of a vector register empty


class FusedParts(LayerParts):
    """Makes the cheaper pieces, under the names of the pieces they replace.

    Maps that are joined stay a list of maps, which the pieces behind take as one map.

    Args:
        dtype: Policy of the layers; `None` is the global one.
        norm_form: See `normalization`.
        fast_convolutions: Whether to convolve with fewer multiplications where it pays,
            see `fast_convolution`.
        outputs: What the network gives, see `FaceDancerFused`.

    Raises:
        InputError: If an output is unknown.
    """

    def __init__(
        self,
        dtype: Dtype = None,
        norm_form: str = "composed",
        fast_convolutions: bool = False,
        outputs: Iterable[str] = ("swapped",),
    ) -> None:
        super().__init__("composed", dtype)
        self.outputs = tuple(outputs)
        unknown = set(self.outputs) - {"swapped", "fusion_mask"}
        if unknown:
            raise InputError(
                "A FaceDancer generator gives swapped and fusion_mask. Received: "
                f"{', '.join(sorted(unknown))}"
            )
        self.norm_form = norm_form
        self.fast_convolutions = fast_convolutions
        self._small: dict[str, Tensor] = {}  # what an enlarged map was, by its name

    def concat(self, a: Tensor, b: Tensor, name: str) -> list[Tensor]:
        """Returns both maps."""
        return [a, b]

    def conv(
        self,
        x: Tensor | list[Tensor],
        filters: int,
        size: int,
        name: str,
        padding: str = "same",
    ) -> Tensor:
        """Returns a convolution, of joined maps too."""
        maps = x if isinstance(x, list) else [x]
        if size == 3 and padding == "same":
            maps, ways = self._fast(maps, filters)
            if set(ways) != {"direct"}:
                return self._joined(filters, size, name, ways=ways)(maps)
            if filters <= _FEW:
                y = self._joined(4 * filters, 4, name, strides=2)(maps)
                return resampling.PixelShuffle(
                    dtype=self.dtype, name=f"{name}_shuffle"
                )(y)
        if not isinstance(x, list):
            return super().conv(x, filters, size, name, padding)
        return self._joined(filters, size, name)(x)

    def _joined(
        self, filters: int, size: int, name: str, **options: Any
    ) -> resampling.JoinedConv2D:
        return resampling.JoinedConv2D(
            filters, size, dtype=self.dtype, name=name, **options
        )

    def _fast(self, maps: list[Tensor], filters: int) -> tuple[list[Tensor], list[str]]:
        """Returns the maps to take and the fastest way to convolve each."""
        chosen = [(x, "direct") for x in maps]
        for i, x in enumerate(maps if self.fast_convolutions else ()):
            small = self._small.get(x.name)
            if small is not None and fast_convolution.enlarged_pays(small.shape):
                chosen[i] = small, "enlarged"
            elif len(maps) == 1 and fast_convolution.winograd_pays(x.shape, filters):
                chosen[i] = x, "winograd"  # joined maps lie in another order already
        return [x for x, _ in chosen], [way for _, way in chosen]

    def up_sum(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        """Returns the sum of two maps, enlarged twofold; what it was is kept too."""
        if not self.fast_convolutions:
            return super().up_sum(a, b, name)
        small = self.add(a, b, f"{name}_small")
        large = keras.layers.UpSampling2D(
            interpolation="bilinear", dtype=self.dtype, name=name
        )(small)
        self._small[large.name] = small
        return large

    def norm(self, x: Tensor | list[Tensor], name: str) -> Tensor:
        """Returns an instance norm; maps are joined for it."""
        if isinstance(x, list):
            one, other = x
            x = super().concat(one, other, f"{name}_concat")
        return self._norm(x, name)

    def _norm(self, x: Tensor, name: str, affine: bool = True) -> Tensor:
        return normalization.InstanceNorm(
            affine=affine, form=self.norm_form, dtype=self.dtype, name=name
        )(x)

    def leaky(self, x: Tensor | list[Tensor], name: str) -> Tensor | list[Tensor]:
        """Returns a leaky ReLU, of each of joined maps."""
        if not isinstance(x, list):
            return super().leaky(x, name)
        part = super().leaky
        return [part(y, f"{name}{i}") for i, y in enumerate(x, start=1)]

    def modulated_norm(self, x: Tensor | list[Tensor], w: Tensor, name: str) -> Tensor:
        """Returns instance norm and AdaIN in one layer."""
        maps = x if isinstance(x, list) else [x]
        return normalization.ModulatedNorm(
            form=self.norm_form, dtype=self.dtype, name=f"{name}_adain"
        )([*maps, w])

    def mask(self, x: Tensor, filters: int, name: str) -> Tensor:
        """Returns a mask whose norm has no affine part."""
        x = self._norm(x, f"{name}_norm", affine=False)
        return keras.layers.Conv2D(
            filters, 1, activation="sigmoid", dtype=self.dtype, name=name
        )(x)


def fused_graph(
    config: GeneratorConfig, parts: FusedParts
) -> tuple[list[Tensor], Tensor | dict[str, Tensor]]:
    """Returns the inputs, and the output or the outputs by name.

    Args:
        config: A `GeneratorConfig`.
        parts: `FusedParts`; its `outputs` say what is given.

    Raises:
        InputError: If a fusion mask is asked for and there is none.
    """
    inputs, swapped = generator_graph(config, parts)
    if parts.outputs == ("swapped",):
        return inputs, swapped
    return inputs, {"swapped": swapped, "fusion_mask": _fusion_mask(config, parts)}


def _fusion_mask(config: GeneratorConfig, parts: FusedParts) -> Tensor:
    """Returns the mask of the largest fusion block, averaged over its channels.

    Near 1 the picture comes from the identity, near 0 the target is let through, which
    a generator learns to do with what covers a face.
    """
    if not parts.masks:
        raise InputError(
            "--occlusion=generator needs a generator with AFFA fusion. Received: "
            f"{', '.join(config.up_types)}"
        )
    mask = max(parts.masks, key=lambda map_: map_.shape[1])
    mask = ops.mean(mask, axis=-1, keepdims=True)
    times = config.image_size // mask.shape[1]
    if times > 1:
        mask = keras.layers.UpSampling2D(times, interpolation="bilinear")(mask)
    return keras.layers.Activation("linear", dtype="float32", name="fusion_mask")(mask)


@register
class FaceDancerFused(SwapperNetwork):
    """The fused form of a generator; made by `fuse`.

    Args:
        config: Its structure, a `GeneratorConfig` or the dict of one.
        dtype: Policy of the layers; `None` is the global one. The output is float32.
        name: Name of the model.
        norm_form: See `normalization`.
        fast_convolutions: See `FusedParts`.
        outputs: `("swapped",)`, or with `"fusion_mask"`: then a call gives a dict.

    Call arguments:
        inputs: As for `generator.FaceDancerGenerator`.

    Returns:
        As `generator.FaceDancerGenerator`.
    """

    config_class = GeneratorConfig
    role = "generator"
    graph = staticmethod(fused_graph)

    def __init__(
        self,
        config: GeneratorConfig | dict,
        dtype: Dtype = None,
        name: str = "generator",
        norm_form: str = "composed",
        fast_convolutions: bool = False,
        outputs: Iterable[str] = ("swapped",),
    ) -> None:
        record, policy = self.resolve(config, dtype)
        super().__init__(
            record,
            FusedParts(policy, norm_form, fast_convolutions, outputs),
            name,
            dtype=policy.name,
            norm_form=norm_form,
            fast_convolutions=fast_convolutions,
            outputs=list(outputs),
        )

    @property
    def contract(self) -> SwapContract:
        """The `SwapContract` of the config, with the outputs that are given."""
        outputs = tuple(self.get_config()["outputs"])
        return dataclasses.replace(self._config.contract, outputs=outputs)


def fuse(
    generator: SwapperNetwork, dtype: Dtype = None, **options: Any
) -> FaceDancerFused:
    """Returns the fused form of a generator, for inference.

    Args:
        generator: A `FaceDancerGenerator`; one that is fused already is returned, or
            its variant with the options, if there are any.
        dtype: Policy of the layers; `None` is the global one.
        **options: Values of `norm_form`, `fast_convolutions` or `outputs`, see
            `FaceDancerFused`.

    Returns:
        A `FaceDancerFused` with the same call and the same result to about 1e-5.
    """
    if isinstance(generator, FaceDancerFused):
        return generator.variant(**options) if options else generator
    fused = FaceDancerFused(generator.config, dtype, generator.name, **options)
    stored = {
        layer.name: [ops.convert_to_numpy(weight) for weight in layer.weights]
        for layer in generator.layers
    }
    for layer in fused.layers:
        if layer.weights:
            layer.set_weights(_folded(layer, stored))
    return fused


def _folded(
    layer: keras.Layer, stored: dict[str, list[np.ndarray]]
) -> list[np.ndarray]:
    """Returns the weights of one layer of the fused form."""
    name = layer.name
    if isinstance(layer, resampling.JoinedConv2D) and layer.strides == 2:
        kernel, bias = stored[name]
        return [resampling.blockwise_kernel(kernel), np.tile(bias, 4)]
    if isinstance(layer, normalization.ModulatedNorm):
        return _folded_adain(
            stored[f"{name.removesuffix('_adain')}_norm"], stored[name]
        )
    if name.endswith("_mask") and f"{name}_norm" in stored:
        return _folded_mask(stored[f"{name}_norm"], stored[name])
    return stored[name]


def _folded_adain(norm: list[np.ndarray], adain: list[np.ndarray]) -> list[np.ndarray]:
    """Folds `gamma * x + beta` into the scale and shift that follow."""
    gamma, beta = norm
    scale_kernel, scale_bias, shift_kernel, shift_bias = adain
    kernel = [scale_kernel * gamma, scale_kernel * beta + shift_kernel]
    bias = [scale_bias * gamma, scale_bias * beta + shift_bias]
    return [np.concatenate(kernel, axis=-1), np.concatenate(bias, axis=-1)]


def _folded_mask(norm: list[np.ndarray], conv: list[np.ndarray]) -> list[np.ndarray]:
    """Folds `gamma * x + beta` into the 1x1 convolution that follows."""
    gamma, beta = norm
    kernel, bias = conv
    return [kernel * gamma[:, None], bias + beta @ kernel[0, 0]]
