"""Batch norms folded into the convolutions before them: equal values, less work.

With fixed statistics a batch norm is a factor and a term per channel, and so is part of
the convolution (Jacob et al., 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import numpy as np


def fold(
    kernel: np.ndarray,
    bias: np.ndarray | float,
    norm: keras.layers.BatchNormalization,
    depthwise: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel and bias of the convolution that does both steps.

    Args:
        kernel: `(height, width, in, out)`, or `(height, width, channels, 1)`.
        bias: `(out,)`, or 0.
        norm: The batch norm behind the convolution.
        depthwise: Whether the kernel is of the second form.
    """
    gamma, beta, mean, variance = (
        keras.ops.convert_to_numpy(weight).astype(np.float64)
        for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    factor = gamma / np.sqrt(variance + norm.epsilon)
    folded = kernel * (factor[:, None] if depthwise else factor)
    return folded.astype(np.float32), (beta + (bias - mean) * factor).astype(np.float32)


def transfer(
    model: keras.Model,
    folded: keras.Model,
    norm_names: Callable[[str], tuple[str, ...]],
) -> None:
    """Sets the weights of a model without batch norms from one that has them.

    Layers have equal names in both, except for the norms. A convolution without a norm
    and every other layer keep their weights.

    Args:
        model: With batch norms behind its convolutions.
        folded: The same graph without them; its convolutions have biases.
        norm_names: From a convolution's name to the names its norm may have.
    """
    known = {layer.name: layer for layer in model.layers}
    for layer in folded.layers:
        if not layer.weights:
            continue
        weights = known[layer.name].get_weights()
        norm = _norm_behind(layer, known, norm_names)
        if norm is not None:
            bias = weights[1] if len(weights) > 1 else 0.0
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            weights = fold(weights[0], bias, norm, depthwise)
        layer.set_weights(weights)


def _norm_behind(
    layer: keras.layers.Layer,
    known: Mapping[str, keras.layers.Layer],
    norm_names: Callable[[str], tuple[str, ...]],
) -> keras.layers.BatchNormalization | None:
    """Returns the batch norm behind a convolution, None where there is none."""
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        return None
    behind = (known[name] for name in norm_names(layer.name) if name in known)
    norm = next(behind, None)
    return norm if isinstance(norm, keras.layers.BatchNormalization) else None


def transfer_back(
    folded: keras.Model,
    model: keras.Model,
    norm_names: Callable[[str], tuple[str, ...]],
) -> None:
    """Sets the weights of a model with batch norms to equal one without them.

    The norms then only add: factors are 1, means 0, variances 1.

    Args:
        folded: The same graph without batch norms; its convolutions have biases.
        model: With batch norms behind its convolutions.
        norm_names: From a convolution's name to the names its norm may have.
    """
    known = {layer.name: layer for layer in model.layers}
    for layer in folded.layers:
        if not layer.weights:
            continue
        weights, own = layer.get_weights(), known[layer.name]
        norm = _norm_behind(layer, known, norm_names)
        if norm is not None:
            ones = np.ones_like(weights[1])
            added = np.zeros_like(ones)
            if not own.use_bias:
                *weights, added = weights
            spread = ones - norm.epsilon
            norm.set_weights([ones, added, np.zeros_like(ones), spread])
        own.set_weights(weights)
