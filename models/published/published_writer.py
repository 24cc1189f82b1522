"""Writes a network as the original programs write it: Keras 2, legacy HDF5.

The original can then read it (`load_model` with its custom objects, or `load_weights`
on a network it built itself). Layer names, their order by depth in the graph, and the
order of the arrays are those of the published files.
"""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from keras import ops

from facedancer.models.families.built_network import BuiltNetwork
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.families.layer_ops import SLOPE
from facedancer.storage import writing

_CONV = {
    "strides": [1, 1],
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "groups": 1,
    "use_bias": True,
}
_ADAIN = ("dense/kernel:0", "dense/bias:0", "dense_1/kernel:0", "dense_1/bias:0")


class PublishedParts:
    """Writes down layers instead of building them; a map is its layer's name.

    Takes the place of `layer_ops.LayerParts`.

    Args:
        weights: Arrays of each layer, by our name.
        first: Where the counters of the names start: the original counts on when it
            has built other networks before.
        mask_names: The original's name of each mask, by ours.
    """

    def __init__(
        self,
        weights: Mapping[str, list[np.ndarray]],
        first: int = 0,
        mask_names: Mapping[str, str] | None = None,
    ) -> None:
        self.layers: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}  # features of each input
        self._mask_names = mask_names or {}
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        self._weights = weights
        self._counts: dict[str, int] = collections.defaultdict(lambda: first)

    def _write(
        self,
        kind: str,
        base: str,
        inputs: Sequence[str],
        settings: dict[str, Any],
        arrays: dict[str, np.ndarray] | None = None,
        fixed: bool = False,
    ) -> str:
        number = self._counts[base]
        name = base if fixed or not number else f"{base}_{number}"
        self._counts[base] += not fixed
        self.layers[name] = {
            "class_name": kind,
            "name": name,
            "config": {
                "name": name,
                "trainable": True,
                "dtype": "float32",
                **settings,
            },
            "inbound_nodes": [[[source, 0, 0, {}] for source in inputs]],
        }
        if arrays:
            self.arrays[name] = arrays
        return name

    def _named(self, name: str, *kinds: str) -> dict[str, np.ndarray]:
        return dict(zip(kinds, self._weights[name], strict=True))

    def input(self, shape: tuple[int, ...], name: str) -> str:
        """Writes an input, in the words that Keras 2 takes for one and no others."""
        number = self._counts["input"] + 1
        self._counts["input"] += 1
        written = f"input_{number}"
        self.layers[written] = {
            "class_name": "InputLayer",
            "name": written,
            "config": {
                "batch_input_shape": [None, *shape],
                "dtype": "float32",
                "sparse": False,
                "ragged": False,
                "name": written,
            },
            "inbound_nodes": [],
        }
        self._sizes[written] = shape[-1]
        return written

    def conv(
        self,
        x: str,
        filters: int,
        size: int,
        name: str,
        padding: str = "same",
        activation: str = "linear",
    ) -> str:
        """Writes a convolution; a mask has the name of the original's masks."""
        mask = activation == "sigmoid"
        settings = {
            "filters": filters,
            "kernel_size": [size, size],
            "padding": padding,
            "activation": activation,
            **_CONV,
        }
        arrays = self._named(name, "kernel:0", "bias:0")
        base = self._mask_names[name] if mask else "conv2d"
        return self._write("Conv2D", base, [x], settings, arrays, fixed=mask)

    def pooled_conv(self, x: str, filters: int, size: int, name: str) -> str:
        """Writes a convolution and a pooling."""
        return self._write(
            "AveragePooling2D",
            "average_pooling2d",
            [self.conv(x, filters, size, name)],
            {
                "pool_size": [2, 2],
                "padding": "valid",
                "strides": [2, 2],
                "data_format": "channels_last",
            },
        )

    def dense(self, x: str, units: int, name: str) -> str:
        """Writes a dense layer."""
        settings = {"units": units, "activation": "linear", "use_bias": True}
        arrays = self._named(name, "kernel:0", "bias:0")
        return self._write("Dense", "dense", [x], settings, arrays)

    def normalise(self, x: str, name: str) -> str:
        """Writes unit vectors and a factor, layers that Keras has since 2.9."""
        size = self._sizes[x]
        x = self._write("UnitNormalization", "unit_normalization", [x], {"axis": -1})
        settings = {"scale": float(size) ** 0.5, "offset": 0.0}
        return self._write("Rescaling", "rescaling", [x], settings)

    def leaky(self, x: str, name: str) -> str:
        """Writes a leaky ReLU."""
        return self._write("LeakyReLU", "leaky_re_lu", [x], {"alpha": SLOPE})

    def norm(self, x: str, name: str) -> str:
        """Writes an instance norm of tensorflow-addons."""
        arrays = self._named(name, "gamma:0", "beta:0")
        settings = {
            "groups": len(arrays["gamma:0"]),
            "axis": -1,
            "epsilon": 1e-3,
            "center": True,
            "scale": True,
        }
        kind = "Addons>InstanceNormalization"
        return self._write(kind, "instance_normalization", [x], settings, arrays)

    def modulated_norm(self, x: str, w: str, name: str) -> str:
        """Writes an instance norm and an AdaIN."""
        arrays = self._named(f"{name}_adain", *_ADAIN)
        x = self.norm(x, f"{name}_norm")
        return self._write("AdaIN", "ada_in", [x, w], {}, arrays)

    def mask(self, x: str, filters: int, name: str) -> str:
        """Writes an instance norm and the convolution of a mask."""
        return self.conv(
            self.norm(x, f"{name}_norm"), filters, 1, name, activation="sigmoid"
        )

    def add(self, a: str, b: str, name: str) -> str:
        """Writes a sum; the last one is called `final`."""
        final = name == "final_sum"
        base = "final" if final else "add"
        return self._write("Add", base, [a, b], {}, fixed=final)

    def up_sum(self, a: str, b: str, name: str) -> str:
        """Writes two enlargements, the shortcut's first, and a sum."""
        settings = {
            "size": [2, 2],
            "data_format": "channels_last",
            "interpolation": "bilinear",
        }
        b = self._write("UpSampling2D", "up_sampling2d", [b], settings)
        a = self._write("UpSampling2D", "up_sampling2d", [a], settings)
        return self.add(a, b, name)

    def concat(self, a: str, b: str, name: str) -> str:
        """Writes a concatenation."""
        return self._write("Concatenate", "concatenate", [a, b], {"axis": -1})

    def multiply(self, a: str, b: str, name: str) -> str:
        """Writes the product of two masks as TensorFlow 2 records it."""
        name = self._write(
            "TFOpLambda", "tf.math.multiply", [], {"function": "math.multiply"}
        )
        call = [a, 0, 0, {"y": [b, 0, 0], "name": None}]
        self.layers[name]["inbound_nodes"] = [call]
        return name

    def blend(self, m: str, a: str, b: str, name: str) -> str:
        """Writes a blend by a mask."""
        return self._write("AdaptiveAttention", "adaptive_attention", [m, a, b], {})

    def output(self, x: str, activation: str, name: str) -> str:
        """Writes the output's activation where there is one."""
        if activation == "linear":
            return x
        return self._write("Activation", "activation", [x], {"activation": activation})

    def flat(self, x: str, name: str) -> str:
        """Writes the last layer of a discriminator."""
        return self._write("Reshape", "reshape", [x], {"target_shape": [1]})


def _mask_names(config: GeneratorConfig | DiscriminatorConfig) -> dict[str, str]:
    """Returns the original's names of the masks: the output size of a 256 px model."""
    names = {}
    for position, kind in enumerate(getattr(config, "up_types", ())):
        fuse = f"fuse{config.image_size >> (config.stages - position)}"
        # "final" is the last sum, so the masks in front of it need another name
        side = f"{16 << position}"
        block = "final_mask" if position == config.stages else f"{side}x{side}"
        names[f"{fuse}_affa1_mask"] = f"{block}_0" if kind == "d_affa" else block
        names[f"{fuse}_affa2_mask"] = f"{block}_1"
        names[f"{fuse}_pixel_mask"] = f"{block}_hat"
        names[f"{fuse}_channel_mask"] = block
    return names


def _sources(layer: dict[str, Any]) -> Iterator[str]:
    for call in layer["inbound_nodes"]:
        for source in call if isinstance(call[0], list) else [call]:
            yield source[0]
            if "y" in source[3]:
                yield source[3]["y"][0]


def by_depth(layers: dict, output: str) -> list[str]:
    """Returns layer names in the order of `keras.Model.layers`.

    Keras sorts by the longest way to the output, and layers of one depth by the order
    in which a search from the output meets them.

    Args:
        layers: Layers by name, with `inbound_nodes`.
        output: Name of the last layer.
    """
    met: dict[str, int] = {}
    finished: list[str] = []
    stack: list[tuple[str, Iterator[str] | None]] = [(output, None)]
    while stack:
        name, rest = stack.pop()
        if rest is None:
            if name in met:
                continue
            met[name] = len(met)
            rest = iter(_sources(layers[name]))
        following = next(rest, None)
        if following is None:
            finished.append(name)
        else:
            stack += [(name, rest), (following, None)]
    depths = dict.fromkeys(finished, 0)
    for name in reversed(finished):
        for source in _sources(layers[name]):
            depths[source] = max(depths[source], depths[name] + 1)
    return sorted(depths, key=lambda name: (-depths[name], met[name]))


def describe(model: BuiltNetwork, first: int = 0) -> tuple[dict, dict]:
    """Returns a network's description in Keras 2, and its arrays by layer.

    Args:
        model: A generator or discriminator, not fused.
        first: See `PublishedParts`.

    Returns:
        A config with `class_name` and `config`, and for every layer a dict of arrays,
        in the order of the file.
    """
    weights = {
        layer.name: [ops.convert_to_numpy(weight) for weight in layer.weights]
        for layer in model.layers
    }
    parts = PublishedParts(weights, first, _mask_names(model.config))
    inputs, output = model.graph(model.config, parts)
    inputs = inputs if isinstance(inputs, list) else [inputs]
    names = by_depth(parts.layers, output)
    inner = {
        "name": "model",
        "trainable": True,
        "layers": [parts.layers[name] for name in names],
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[output, 0, 0]],
    }
    arrays = {name: parts.arrays.get(name, {}) for name in names}
    return {"class_name": "Functional", "config": inner}, arrays


def write_weights(group: h5py.Group, arrays: dict[str, dict[str, np.ndarray]]) -> None:
    """Writes arrays in the layout of Keras 2.

    Args:
        group: Where they are written.
        arrays: For every layer, in order, its arrays by name.
    """
    group.attrs["layer_names"] = [name.encode() for name in arrays]
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.15.0"
    for layer, values in arrays.items():
        names = [f"{layer}/{name}" for name in values]
        sub = group.create_group(layer)
        sub.attrs["weight_names"] = [name.encode() for name in names]
        for name, value in zip(names, values.values(), strict=True):
            sub[name] = value


def save_published(
    model: BuiltNetwork, path: str | os.PathLike, first: int = 0
) -> None:
    """Writes a network as a whole-model `.h5` of the original programs.

    Args:
        model: A generator or discriminator, not fused.
        path: The file. `saving.save` writes it whole or not at all.
        first: See `PublishedParts`.
    """
    config, arrays = describe(model, first)
    with writing.h5_file(path) as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.15.0"
        write_weights(file.create_group("model_weights"), arrays)
