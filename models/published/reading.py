"""Loads generators and discriminators: published files, checkpoints and our own.

    generator = load_generator("FaceDancer_config_c_HQ.h5")

The structure is read from the file's own description, never guessed from its name, and
nothing in the file is executed: a description is plain data (`graph`, `structure`),
the network is built here, and the arrays are copied into it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import keras

from facedancer.errors import InputError
from facedancer.models.architectures import ARCHITECTURES, Architecture, roles
from facedancer.models.families.built_network import BuiltNetwork, SwapperNetwork
from facedancer.models.layers import normalization, resampling
from facedancer.models.published import graph as graphs
from facedancer.models.published import stored_files
from facedancer.networks.tensors import Dtype
from facedancer.storage import model_files, untrusted

# What `keras.saving.load_model(path, custom_objects=PUBLISHED_OBJECTS)` needs for
# published files without products of masks (those hold a TFOpLambda).
PUBLISHED_OBJECTS = {
    "AdaIN": normalization.AdaIN,
    "AdaptiveAttention": resampling.Blend,
    "Addons>InstanceNormalization": normalization.InstanceNormalization,
}


def load_generator(
    path: str | os.PathLike, form: str = "composed", dtype: Dtype = None
) -> SwapperNetwork:
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


def load_discriminator(
    path: str | os.PathLike, form: str = "composed", dtype: Dtype = None
) -> BuiltNetwork:
    """Returns a discriminator from a file, with `.config`.

    Args:
        path: As for `load_generator`, with `dis.json` and `dis_12.h5`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.

    Raises:
        InputError: If the file is missing, damaged or something else.
    """
    return load(path, "discriminator", form, dtype)


def load(
    path: str | os.PathLike, kind: str, form: str = "composed", dtype: Dtype = None
) -> BuiltNetwork:
    """Returns a model of one kind, or of the kind that the file holds.

    Args:
        path: See `load_generator`.
        kind: One of `architectures.roles()`, or `"auto"`.
        form: See `generator.FaceDancerGenerator`.
        dtype: See `generator.FaceDancerGenerator`.

    Raises:
        InputError: If the file is missing, damaged or something else.
    """
    stems = {r: s for one in ARCHITECTURES.values() for r, s in one.stems.items()}
    stored = stored_files.read(path, stems.get(kind, "gen"))
    with untrusted.faults(stored.path, "the description of the model is damaged"):
        own = _own_class(stored.config)
        if own is not None:
            return _load_own(stored, own, kind, form, dtype)
        return _load_published(stored, kind, form, dtype)


def _own_class(config: dict) -> type[BuiltNetwork] | None:
    """Returns the class of ours that a description names, else `None`."""
    name = str(config.get("class_name")).rpartition(">")[2]
    for one in ARCHITECTURES.values():
        if name in one.classes():
            return one.classes()[name]
    return None


def _check_kind(found: str, wanted: str, what: str) -> None:
    if wanted not in ("auto", found):
        titles = [a.title for a in ARCHITECTURES.values() if wanted in a.networks]
        raise InputError(f"expected a {' or '.join(titles)} {wanted}, found {what}")


def _load_own(
    stored: stored_files.StoredModel,
    own: type[BuiltNetwork],
    kind: str,
    form: str,
    dtype: Dtype,
) -> BuiltNetwork:
    family = next(a for a in ARCHITECTURES.values() if own.__name__ in a.classes())
    _check_kind(own.role, kind, f"a {family.title} {own.role}")
    settings = dict(stored.config["config"])
    settings["config"] = own.config_class.from_dict(settings["config"])
    make_own: Callable[..., BuiltNetwork] = own  # its arguments are the subclass's

    def make() -> BuiltNetwork:
        if own in family.forms:  # as it was saved
            return make_own(**settings | {"dtype": dtype})
        return make_own(settings["config"], form, dtype)

    if not stored.weights:
        return model_files.load_weights(make, stored.path, "keras")
    model = _build(make, stored)
    fill(model, {layer.name: layer.name for layer in model.layers}, stored.weights)
    return model


def _build(
    make: Callable[[], BuiltNetwork], stored: stored_files.StoredModel
) -> BuiltNetwork:
    held = sum(array.size for arrays in stored.weights.values() for array in arrays)
    return model_files.build(make, held, stored.path)


def _load_published(
    stored: stored_files.StoredModel, kind: str, form: str, dtype: Dtype
) -> BuiltNetwork:
    graph = graphs.from_config(stored.config)
    found, architecture = _recognise(graph)
    what = graph.describe() if found == "other" else f"a {found}: {graph.describe()}"
    _check_kind(found, kind, what)
    if architecture is None:
        known = " or ".join(roles())
        titles = " or ".join(a.title for a in ARCHITECTURES.values())
        raise InputError(f"expected a {titles} {known}, found {what}")
    if not stored.weights:
        raise InputError(
            f"found a {found} in a .keras archive that this project did not write. "
            "Save it as .h5"
        )
    read = architecture.readers[found](graph)
    network = architecture.networks[found]
    model = _build(lambda: network(read.config, form, dtype), stored)
    fill(model, read.names, stored.weights)
    return model


def _recognise(graph: graphs.Graph) -> tuple[str, Architecture | None]:
    """Returns what a graph is, and of which family, None if of none."""
    found = "other"
    for one in ARCHITECTURES.values():
        found = one.kind_of(graph)
        if found in one.readers:
            return found, one
    return found, None


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
