"""Tests of the multiply-accumulate counts: published sizes and real networks."""

import numpy as np
import pytest

from facedancer import arcface_model, models, retinaface
from facedancer.models.families.facedancer import macs
from facedancer.models.families.facedancer.config import (
    UP_TYPES,
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.networks.network import Cost

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
    assert macs.count(GeneratorConfig()) == Cost(24_505_894, 28_856_287_232)
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
    for form in ("plain", "composed"):
        model = models.build_generator(config, form)
        assert macs.count(config, composed=form == "composed") == model.cost()


def test_counts_are_those_of_the_built_discriminator():
    config = DiscriminatorConfig(image_size=48, base_width=3, max_width=10)
    model = models.build_discriminator(config, "plain")
    assert macs.count(config) == model.cost()


def test_the_fused_form_by_hand():
    """Joined maps, pixel blocks and folded norms are counted as they compute."""
    config = GeneratorConfig(
        image_size=8, widths=(5, 10), up_types=("add", "concat"), identity_size=5,
        mapping_sizes=(),
    )  # fmt: skip
    fused = models.fuse(models.build_generator(config))
    conv = 8 * 8 * 9 * 3 * 5  # stem
    conv += 4 * 4 * 10 * 5 * 10  # down4: shortcut and convolution at half the side
    conv += 2 * 4 * 4 * 10 * 10 * 10  # middle, latent
    conv += 4 * 4 * 10 * 10 * 5  # up8, before it is enlarged
    conv += 8 * 8 * 10 * 3  # final shortcut
    conv += 4 * 4 * 16 * 10 * 12  # final: 4x4 kernels of stride 2, blocks of 2x2
    dense = 5 * 2 * (10 + 10 + 10)  # latent, up8, final
    assert fused.cost().macs == conv + dense


def test_open_sides_have_no_count():
    assert retinaface.build_retinaface(width=4, channels=8).cost().macs is None
    encoder = arcface_model.build_mobilefacenet(8, image_size=112)
    learned = sum(np.prod(w.shape, dtype=int) for w in encoder.trainable_weights)
    assert encoder.cost().parameters == learned < encoder.count_params()
    # Chen et al. 2018: 221 million for 112 pixels and 128 numbers
    assert 0.15e9 < encoder.cost().macs < 0.5e9
