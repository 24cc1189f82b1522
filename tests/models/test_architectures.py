"""Tests of the table of families, their parts and each of their presets."""

import dataclasses
import inspect

import numpy as np
import pytest

from facedancer import arcface_model
from facedancer.inference import portable, runtimes
from facedancer.models import ARCHITECTURES, architectures, portable_generator
from facedancer.models.families.facedancer.fused import FusedParts
from facedancer.models.families.facedancer.macs import CountingParts
from facedancer.models.families.layer_ops import LayerParts, Parts
from facedancer.models.published.published_writer import PublishedParts
from tests.models.check_network import check_network


def small(config):
    """Returns a structure with few channels and small pictures."""
    least = 2 * 2 ** getattr(config, "stages", 5)  # of faceswap-GAN 64
    changes = {"image_size": max(32, least), "base_width": 2, "d_base_width": 2}
    changes |= {"latent": 6, "attention": 16, "encoder_width": 2, "decoder_width": 1}
    changes |= {"mask_width": 1, "label_size": 3}
    changes |= {"max_width": 6, "width": 4, "blocks": (1, 2, 1)}
    changes |= {"mapping_sizes": (5, 5), "identity_size": 7}
    own = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(
        config, **{name: value for name, value in changes.items() if name in own}
    )


def different_presets():
    """Yields family, role and preset; of those that are alike when small the first."""
    for name, one in ARCHITECTURES.items():
        for role in one.networks:
            known = {}
            for preset, config in one.presets[role].items():
                known.setdefault(small(config), preset)
            yield from ((name, role, preset) for preset in known.values())


def presets_with_marks():
    """Yields parameters of tests; the cheapest of three families are run always."""
    always = "facedancer_lite_64 faceswap_gan_lite_64 conditional_gan_legacy_attention"
    for name, role, preset in different_presets():
        swaps = role in ("generator", "encoder", "decoder")
        marks = [] if swaps and preset in always.split() else [pytest.mark.slow]
        yield pytest.param(name, role, preset, marks=marks)


@pytest.mark.parametrize("name, role, preset", presets_with_marks())
def test_presets(name, role, preset, tmp_path):
    one = ARCHITECTURES[name]
    config = small(one.presets[role][preset])
    first = preset == next(iter(one.presets[role]))
    endings = (".keras", ".h5", ".xml") if first else (".h5",)
    network = one.networks[role](config)
    if network.non_trainable_weights:
        # Random weights among batch norms amplify roundings without bound: only what
        # computes the very same is compared.
        check_network(network, tmp_path, (".keras", ".h5"), half=None)
    else:
        check_network(network, tmp_path, endings)


@pytest.mark.parametrize(
    "name, preset",
    [
        pytest.param("swap_them_all", "swap_them_all_lite_64", marks=pytest.mark.large),
        pytest.param(
            "swap_them_all", "swap_them_all_v2_lite_64", marks=pytest.mark.slow
        ),
        pytest.param("faceswap_gan", "faceswap_gan_lite_64", marks=pytest.mark.slow),
        pytest.param("mobile_fsgan", "mobile_fsgan_lite_64", marks=pytest.mark.large),
    ],
)
def test_portable_files(name, preset, tmp_path):
    """What a system's networks are made of, a portable file may hold."""
    one = ARCHITECTURES[name]
    config = next(c for c in (p.get(preset) for p in one.presets.values()) if c)
    kind = one.networks.get("generator") or one.forms[0]
    network = kind(small(config))
    path = tmp_path / "portable.onnx"
    portable_generator.save(network, path, {})
    feeds = network.example_inputs(batch=2)
    expected = {k: np.asarray(v) for k, v in network.named(feeds).items()}
    found = runtimes.OpenVINORuntime(portable.read(path))(feeds)
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "kind", [LayerParts, FusedParts, CountingParts, PublishedParts]
)
def test_every_kind_of_parts_has_every_part(kind):
    """A graph may ask for any: what one lacks shows in the one program that uses it."""
    for name, wanted in inspect.getmembers(Parts, inspect.isfunction):
        if name.startswith("_"):
            continue
        found = inspect.signature(getattr(kind, name)).parameters
        expected = list(inspect.signature(wanted).parameters)
        assert list(found)[: len(expected)] == expected, f"{kind.__name__}.{name}"
        more = list(found.values())[len(expected) :]
        assert all(p.default is not inspect.Parameter.empty for p in more)


def test_table():
    for name, one in ARCHITECTURES.items():
        assert name == one.name
        for role, kind in one.networks.items():
            assert kind.role == role
            assert set(one.presets[role]), role
            assert all(
                isinstance(config, kind.config_class)
                for config in one.presets[role].values()
            )
    assert architectures.roles()[:2] == ("generator", "discriminator")
    encoder = arcface_model.build_mobilefacenet(8, 32, width=0.125, blocks=(1, 1, 1))
    with pytest.raises(ValueError, match="one of facedancer.*MobileFaceNet"):
        architectures.of(encoder)
