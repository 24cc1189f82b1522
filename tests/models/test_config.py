"""Tests of `config` and `presets` in `facedancer.models.families.facedancer`."""

import dataclasses
import json

import numpy as np
import pytest

from facedancer.errors import InputError
from facedancer.models.families.facedancer import presets
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract

PUBLISHED = ("no_skip", "no_skip", "affa", "affa", "affa", "concat")


def test_defaults_are_the_published_network():
    config = GeneratorConfig()
    assert config.up_types == PUBLISHED
    assert config.stage_widths == (64, 128, 256, 512, 512, 512)
    assert (config.stages, config.mapping_sizes) == (5, (512,) * 4)
    assert (config.output_activation, config.final_adain) == ("linear", True)
    widths = (64, 128, 256, 512, 512, 512, 512)
    assert DiscriminatorConfig().stage_widths == widths


@pytest.mark.parametrize(
    "size, stages, up_types",
    [
        (64, 3, ("no_skip", "no_skip", "affa", "concat")),
        (96, 4, ("no_skip", "no_skip", "affa", "affa", "concat")),
        (128, 4, ("no_skip", "no_skip", "affa", "affa", "concat")),
        (512, 6, ("no_skip", "no_skip", *["affa"] * 4, "concat")),
        (16, 1, ("no_skip", "concat")),
    ],
)
def test_stages_follow_from_the_size(size, stages, up_types):
    config = GeneratorConfig(image_size=size)
    assert (config.stages, config.up_types) == (stages, up_types)


@pytest.mark.parametrize(
    "size, stages", [(256, 6), (128, 5), (96, 5), (64, 4), (224, 5), (6, 1)]
)
def test_discriminator_stages_follow_from_the_size(size, stages):
    assert DiscriminatorConfig(image_size=size).stages == stages


def test_stages_follow_from_the_fusion_list():
    config = GeneratorConfig(image_size=64, up_types=list(PUBLISHED))
    assert config.stages == 5
    assert config.up_types == PUBLISHED  # a tuple, so hashable
    assert hash(config) == hash(dataclasses.replace(config))


def test_explicit_widths_that_double_are_the_same_config():
    explicit = GeneratorConfig(image_size=64, stages=3, widths=(16, 32, 64, 64))
    assert explicit == GeneratorConfig(image_size=64, base_width=16, max_width=64)
    assert explicit.widths == ()
    short = DiscriminatorConfig(image_size=8, widths=(2, 4))
    assert short == DiscriminatorConfig(image_size=8, base_width=2)
    odd = GeneratorConfig(image_size=64, stages=3, widths=[4, 6, 12, 7])
    assert odd.stage_widths == odd.widths == (4, 6, 12, 7)


def test_replace_changes_what_follows():
    config = dataclasses.replace(presets.get_preset("facedancer_lite_64"), base_width=8)
    assert config.stage_widths == (8, 16, 32, 64, 128, 256)


@pytest.mark.parametrize("config", [*presets.PRESETS.values(), DiscriminatorConfig()])
def test_dict_round_trip(config):
    values = json.loads(json.dumps(config.to_dict()))
    assert type(config).from_dict(values) == config


@pytest.mark.parametrize(
    "values, words",
    [
        ({"image_size": 100}, "multiple of 16"),
        ({"image_size": 32, "stages": 5}, "at least 64"),
        ({"image_size": 0}, "image_size"),
        ({"stages": -2}, "stages"),
        ({"up_types": ("affa", "skip") * 3}, "up_types.*one per map"),
        ({"stages": 5, "up_types": ("affa",) * 5}, "`up_types` must be 6"),
        ({"stages": 5, "widths": (4,) * 5}, "`widths` must have 6"),
        ({"base_width": 0}, "must be positive"),
        ({"stages": 5, "widths": (4, 4, 0, 4, 4, 4)}, "must be positive"),
        ({"mapping_sizes": (8, 0)}, "mapping_sizes"),
        ({"identity_size": 0}, "identity_size"),
        ({"output_activation": "relu"}, "output_activation='relu'"),
        ({"shrink": 0.0}, r"\(0, 1\]"),
    ],
)
def test_refused(values, words):
    with pytest.raises(ValueError, match=words):
        GeneratorConfig(**values)


def test_unknown_field_is_refused():
    with pytest.raises(ValueError, match="mapping_size'"):
        GeneratorConfig.from_dict({"mapping_size": 3})


def test_discriminator_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        DiscriminatorConfig(image_size=20, stages=3)


def test_presets():
    count = {
        name: presets.get_preset(f"facedancer_{name}").up_types.count("affa")
        for name in "abcde"
    }
    assert count == {"a": 3, "b": 0, "c": 3, "d": 4, "e": 5}
    lite = presets.get_preset("facedancer_lite_96")
    assert lite.stage_widths == (32, 64, 128, 256, 256, 256)
    assert (lite.image_size, lite.identity_size) == (96, 128)
    assert lite.up_types == PUBLISHED
    with pytest.raises(InputError, match="facedancer_a.*'facedancer_z'"):
        presets.get_preset("facedancer_z")


def test_contract():
    config = GeneratorConfig(image_size=64, template="ffhq", shrink=0.8)
    contract = config.contract.image
    assert (contract.size, contract.value_range) == (64, "signed")
    assert (contract.template, contract.shrink) == ("ffhq", 0.8)


def test_swap_contract():
    config = GeneratorConfig(image_size=64, identity_size=9, encoder="some@12")
    assert config.contract.identity == IdentityInput("vector", 9, "some@12")
    assert config.contract.inputs == ("target", "identity")
    image = config.contract.image
    for values, words in (
        ({"inputs": ("target",)}, "with {'identity'}"),
        ({"inputs": ("target", "identity", "mask")}, "`inputs` must be of target"),
        ({"outputs": ("alpha",)}, "must hold `swapped`"),
        ({"identity": IdentityInput("label", 2)}, "with {'label'}"),
    ):
        with pytest.raises(ValueError, match=words):
            SwapContract(image, **values)
    none = IdentityInput("none", 0)
    assert SwapContract(image, none, ("target",)).identity.kind == "none"
    for wrong in (("voice", 3), ("none", 3), ("vector", 0)):
        with pytest.raises(ValueError, match="`kind` must be one of vector, label"):
            IdentityInput(*wrong)


def test_values_in_255():
    for name, low in (("signed", -1.0), ("unit", 0.0)):
        contract = InputContract(8, name)
        found = contract.to_255(np.array([low, 1.0]))
        np.testing.assert_array_equal(found, [0.0, 255.0])
