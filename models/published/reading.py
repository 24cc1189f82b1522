"""Loads generators and discriminators: published files, checkpoints and our own.

    generator = load_generator("FaceDancer_config_c_HQ.h5")

The structure is read from the file's own description, never guessed from its name, and
nothing in the file is executed: a description is plain data (`graph`, `structure`),
the network is built here, and the arrays are copied into it.
"""

from __future__ import annotations

import os
import zipfile

import keras

from facedancer import model_files
from facedancer.errors import InputError
from facedancer.models.families.facedancer.config import (
    DiscriminatorConfig,
    GeneratorConfig,
)
from facedancer.models.families.facedancer.discriminator import FaceDancerDiscriminator
from facedancer.models.families.facedancer.fused import FaceDancerFused
from facedancer.models.families.facedancer.generator import FaceDancerGenerator
from facedancer.models.layers import normalization, resampling
from facedancer.models.published import graph as graphs
from facedancer.models.published import stored_files, structure

# What `keras.saving.load_model(path, custom_objects=PUBLISHED_OBJECTS)` needs for
# published files without products of masks (those hold a TFOpLambda).
PUBLISHED_OBJECTS = {
    "AdaIN": normalization.AdaIN,
    "AdaptiveAttention": resampling.Blend,
    "Addons>InstanceNormalization": normalization.InstanceNormalization,
}
CLASSES = {"generator": FaceDancerGenerator, "discriminator": FaceDancerDiscriminator}
_CONFIGS = {"generator": GeneratorConfig, "discriminator": DiscriminatorConfig}
# Our classes by the name in a file: kind and class.
_OWN = {
    "FaceDancerGenerator": ("generator", FaceDancerGenerator),
    "FaceDancerDiscriminator": ("discriminator", FaceDancerDiscriminator),
    "FaceDancerFused": ("generator", FaceDancerFused),
}
_READERS = {
    "generator": structure.read_generator,
    "discriminator": structure.read_discriminator,
}
_STEMS = {"generator": "gen", "discriminator": "dis"}


def load_generator(path: str | os.PathLike, form: str = "composed", dtype=None):
    """Returns a generator from a file, with `.config` and `.contract`.

    Args:
        path: A whole model `.h5` as the original writes it (TensorFlow 2.8 to 2.15),
            a checkpoint of the original (`gen_12.h5` beside `gen.json`, the `.json`
            or the folder: then the last one), or our own `.keras` or `.h5`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.

    Raises:
        InputError: If the file is missing, damaged or something else.
    """
    return load(path, "generator", form, dtype)


def load_discriminator(path: str | os.PathLike, form: str = "composed", dtype=None):
    """Returns a discriminator from a file, with `.config`.

    Args:
        path: As for `load_generator`, with `dis.json` and `dis_12.h5`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.

    Raises:
        InputError: If the file is missing, damaged or something else.
    """
    return load(path, "discriminator", form, dtype)


def load(path: str | os.PathLike, kind: str, form: str = "composed", dtype=None):
    """Returns a model of one kind, or of the kind that the file holds.

    Args:
        path: See `load_generator`.
        kind: `"generator"`, `"discriminator"`, or `"auto"`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.

    Raises:
        InputError: If the file is missing, damaged or something else.
    """
    stored = stored_files.read(path, _STEMS.get(kind, "gen"))
    try:
        if _own_class(stored.config):
            return _load_own(stored, kind, form, dtype)
        return _load_published(stored, kind, form, dtype)
    except InputError as error:
        raise InputError(f"{stored.path}: {error}") from None


def _own_class(config: dict):
    """Returns kind and class that a description of ours names, else `None`."""
    return _OWN.get(str(config.get("class_name")).rpartition(">")[2])


def _check_kind(found: str, wanted: str, what: str) -> None:
    if wanted != "auto" and found != wanted:
        raise InputError(f"expected a FaceDancer {wanted}, found {what}")


def _load_own(stored, kind, form, dtype):
    found, model_class = _own_class(stored.config)
    _check_kind(found, kind, f"a FaceDancer {found}")
    try:
        config = _CONFIGS[found].from_dict(stored.config["config"]["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the description of the model is damaged ({error})") from None
    if model_class is FaceDancerFused:
        model = FaceDancerFused(config, dtype)
    else:
        model = model_class(config, form, dtype)
    if stored.weights:
        fill(model, {layer.name: layer.name for layer in model.layers}, stored.weights)
    else:
        _load_archive(model, stored.path)
    return model


def _load_archive(model, path):
    try:
        with model_files.weights_file(path, "keras") as weights:
            model.load_weights(weights)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        text = " ".join(str(error).split())[:200]
        raise InputError(f"the weights are damaged or do not fit ({text})") from None


def _load_published(stored, kind, form, dtype):
    graph = graphs.from_config(stored.config)
    found = structure.kind_of(graph)
    what = graph.describe() if found == "other" else f"a {found}: {graph.describe()}"
    _check_kind(found, kind, what)
    if found not in _READERS:
        raise InputError(
            f"expected a FaceDancer generator or discriminator, found {what}"
        )
    if not stored.weights:
        raise InputError(
            f"found a {found} in a .keras archive that this project did not write. "
            "Save it as .h5"
        )
    read = _READERS[found](graph)
    try:
        model = CLASSES[found](read.config, form, dtype)
    except ValueError as error:
        raise InputError(str(error)) from None
    fill(model, read.names, stored.weights)
    return model


def fill(model: keras.Model, names: dict[str, str], weights: dict) -> None:
    """Copies a file's arrays into a model, layer by layer.

    Args:
        model: The model.
        names: The file's layer name by the model's; names of layers without weights
            do not matter.
        weights: Arrays by the file's layer name.

    Raises:
        InputError: If a layer is missing or left over, or a shape differs.
    """
    left = set(weights)
    for layer in model.layers:
        if not layer.weights:
            continue
        name = names.get(layer.name)
        found = [array.shape for array in weights.get(name, [])]
        expected = [tuple(weight.shape) for weight in layer.weights]
        if found != expected:
            raise InputError(
                f"the weights of layer {name!r} ({layer.name}) have the shapes "
                f"{found}, expected {expected}"
            )
        layer.set_weights(weights[name])
        left.discard(name)
    if left:
        raise InputError(f"weights of unknown layers: {', '.join(sorted(left))}")
