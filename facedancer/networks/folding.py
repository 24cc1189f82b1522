"""Batch norms folded into the convolutions before them: equal values, less work.

With fixed statistics a batch norm is a factor and a term per channel, and so is part of
the convolution (Jacob et al., 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable

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
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        norms = []
        if depthwise or isinstance(layer, keras.layers.Conv2D):
            norms = [known[n] for n in norm_names(layer.name) if n in known]
        if norms and isinstance(norms[0], keras.layers.BatchNormalization):
            bias = weights[1] if len(weights) > 1 else 0.0
            weights = fold(weights[0], bias, norms[0], depthwise)
        layer.set_weights(weights)


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
        norms = [known[n] for n in norm_names(layer.name) if n in known]
        if len(own.weights) == len(weights) - 1 and norms:
            *weights, bias = weights
            ones, nothing = np.ones_like(bias), np.zeros_like(bias)
            norms[0].set_weights([ones, bias, nothing, ones - norms[0].epsilon])
        own.set_weights(weights)
