"""Tests of the multiply-accumulate counts: published sizes and real networks."""

import pytest

from facedancer import models
from facedancer.models.families.facedancer import macs
from facedancer.models.families.facedancer.config import (
    UP_TYPES,
    DiscriminatorConfig,
    GeneratorConfig,
)

NO, AFFA, D, DO, CAT = ["no_skip"], ["affa"], ["d_affa"], ["do_affa"], ["concat"]


@pytest.mark.parametrize(
    "up_types, parameters, gmacs",
    [
        (NO * 2 + AFFA * 3 + CAT, 24.51, 28.86),
        (NO + AFFA * 4 + CAT, 25.75, 29.18),
        (AFFA * 5 + CAT, 27.00, 29.25),
        (NO * 2 + CAT * 4, 25.51, None),
        (CAT * 6, 31.81, 29.90),
        (["add"] * 6, 22.80, 24.91),
        (NO * 2 + D * 3 + CAT, 26.14, 32.68),
        (NO * 2 + DO * 3 + CAT, 35.61, 54.83),
    ],
)
def test_published_sizes(up_types, parameters, gmacs):
    cost = macs.count(GeneratorConfig(up_types=up_types))
    assert round(cost.parameters / 1e6, 2) == parameters
    assert gmacs is None or round(cost.macs / 1e9, 2) == gmacs


def test_exact_sizes():
    assert macs.count(GeneratorConfig()) == macs.Cost(24_505_894, 28_856_287_232)
    small_mapping = GeneratorConfig(mapping_sizes=(256,) * 4)
    assert macs.count(small_mapping).parameters == 22_473_254
    assert macs.count(GeneratorConfig(), composed=True).macs == 14_260_109_312


def test_discriminator_by_hand():
    cost = macs.count(DiscriminatorConfig())
    assert cost.parameters == 23_972_353
    side, channels, total = 256, 64, 256**2 * 27 * 64
    for width in (128, 256, 512, 512, 512, 512):
        total += side**2 * 10 * channels * width  # 1x1 shortcut, first 3x3
        side, channels = side // 2, width
        total += side**2 * 9 * width * width
    assert round(total / 1e9, 2) == 27.78  # the published figure: without the head
    assert cost.macs == total + 16 * 512 * 512 + 512


def layer_macs(model):
    """Counts from the shapes of a built model's layers, in the plain form."""
    total = 0
    for layer in model.layers:
        name = type(layer).__name__
        if name in ("Conv2D", "PooledConv2D"):
            _, height, width, filters = layer.output.shape
            scale = 4 if name == "PooledConv2D" else 1
            size = layer.kernel.shape[0]
            channels = layer.kernel.shape[2]
            total += scale * height * width * size**2 * channels * filters
        elif name in ("Dense", "AdaIN"):
            kernels = [w for w in layer.weights if len(w.shape) == 2]
            total += sum(w.shape[0] * w.shape[1] for w in kernels)
    return total


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mapping_sizes": ()},
        {"final_adain": False, "output_activation": "tanh"},
        {"image_size": 96, "stages": 5},
    ],
)
def test_counts_are_those_of_the_built_generator(changes):
    values = {"image_size": 64, "base_width": 3, "max_width": 10, "up_types": UP_TYPES}
    config = GeneratorConfig(**{**values, **changes})
    model = models.build_generator(config)
    cost = macs.count(config)
    assert cost.parameters == model.count_params()
    assert cost.macs == layer_macs(model)


def test_counts_are_those_of_the_built_discriminator():
    config = DiscriminatorConfig(image_size=48, base_width=3, max_width=10)
    model = models.build_discriminator(config)
    assert macs.count(config) == macs.Cost(model.count_params(), layer_macs(model))
