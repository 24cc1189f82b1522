"""What a model file holds, read without running anything from it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import h5py
import keras
import numpy as np

from facedancer.errors import InputError
from facedancer.process import stopping
from facedancer.storage import untrusted

SMALL = 1 << 25  # weights that any machine has room for; 128 MiB
MAX_MAP = 1 << 28  # numbers that a layer may give for one example; 1 GiB
MAX_LAYERS = 5000  # the largest published network has some 300


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """The description of a saved Keras model.

    Attributes:
        path: The file.
        kind: `"keras"` or `"h5"`, by content, not by name.
        class_name: Class of the model without its package.
        config: Its configuration.
        whole: The description that both stand in.
    """

    path: pathlib.Path
    kind: str
    class_name: str
    config: dict
    whole: dict = dataclasses.field(repr=False)

    def describe(self) -> str:
        """Returns a few words for a message: class, name, number of layers."""
        layers = self.config.get("layers")
        size = f" of {len(layers)} layers" if isinstance(layers, list) else ""
        return f"a {self.class_name} model {self.config.get('name', '')!r}{size}"


def read_model_file(path: str | os.PathLike) -> ModelFile:
    """Reads the description of a `.keras` or whole-model `.h5` file.

    Args:
        path: The file, written by Keras 2 or 3.

    Raises:
        InputError: If it is missing, damaged, no model or weights alone.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise InputError(f"{path}: a folder, not a model file (.keras or .h5)")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if zipfile.is_zipfile(path):
        kind, text = "keras", _keras_config(path)
    elif h5py.is_hdf5(path):
        kind, text = "h5", _h5_config(path)
    else:
        raise InputError(f"{path}: neither a .keras nor an .h5 model file")
    whole = untrusted.parse_json(text, path)
    config = whole.get("config")
    if not isinstance(config, dict) or "class_name" not in whole:
        raise InputError(f"{path}: its description is damaged (no class or config)")
    layers = config.get("layers")
    if isinstance(layers, list) and len(layers) > MAX_LAYERS:
        raise InputError(
            f"{path}: describes a network of {len(layers):,} layers; at most "
            f"{MAX_LAYERS:,} are built"
        )
    name = str(whole["class_name"]).split(">")[-1]
    return ModelFile(path, kind, name, config, whole)


def _keras_config(path: str | os.PathLike) -> str | bytes:
    with untrusted.open_zip(path, "damaged .keras file") as archive:
        return untrusted.read_entry(archive, "config.json")


def _h5_config(path: str | os.PathLike) -> str | bytes:
    with untrusted.open_h5(path) as file:
        text = file.attrs.get("model_config")
    if text is None:
        raise InputError(
            f"{path}: holds weights without a model. Export the whole model "
            "(`model.save`) or convert it where the model is known"
        )
    return text


def build(
    make: Callable[[], keras.Model], held: int, path: str | os.PathLike
) -> keras.Model:
    """Returns a model that a file describes, if the file holds weights for it.

    A description of a few bytes can ask for terabytes. So the model is first made in a
    scope in which Keras reserves nothing for its weights, and these are counted, and
    what its layers give; in a thread of its own, as Keras keeps what it has to reserve
    later by thread.

    Args:
        make: Makes the model.
        held: Numbers that the file holds.
        path: The file, for the message.

    Raises:
        InputError: If the model has more weights than that, and `SMALL`, or a layer of
            it gives more than `MAX_MAP`.
    """
    with ThreadPoolExecutor(1) as pool:
        needed, largest = pool.submit(_count_numbers, make).result()
    if needed > max(held, SMALL):
        raise InputError(
            f"{path}: describes a network of {needed:,} weights and holds {held:,}"
        )
    if largest > MAX_MAP:
        raise InputError(
            f"{path}: describes a network of which a layer gives {largest:,} numbers; "
            f"at most {MAX_MAP:,} can be computed"
        )
    return make()


def _count_numbers(make: Callable[[], keras.Model]) -> tuple[int, int]:
    """Returns the number of weights, and of what the largest layer gives."""
    with keras.StatelessScope(initialize_variables=False):
        model = make()
        return model.count_params(), max(_sizes_of_maps(model), default=0)


def _sizes_of_maps(model: keras.Model) -> Iterator[int]:
    """Yields how many numbers each layer gives; axes that are open count as 1."""
    for layer in model.layers if isinstance(model, keras.Model) else ():
        if isinstance(layer, keras.Model):
            yield from _sizes_of_maps(layer)
        for node in getattr(layer, "_inbound_nodes", ()):
            for tensor in node.output_tensors:
                yield math.prod(length or 1 for length in tensor.shape[1:])


def load_own(found: ModelFile, cls: type[keras.Model]) -> keras.Model:
    """Returns a model of this project from its own `.keras` or `.h5` file.

    Args:
        found: What `read_model_file` gave.
        cls: The class whose `get_config` wrote the file's configuration.

    Raises:
        InputError: If configuration or weights do not fit the class.
    """
    return load_weights(
        lambda: cls.from_config(dict(found.config)),
        found.path,
        found.kind,
        f"does not fit {cls.__name__}",
    )


def load_weights(
    make: Callable[[], keras.Model],
    path: pathlib.Path,
    kind: str,
    what: str = "the weights are damaged or do not fit",
) -> keras.Model:
    """Returns a model with the weights that Keras wrote into a file.

    Args:
        make: Makes the model.
        path: The file.
        kind: `"keras"` or `"h5"`.
        what: What a message says of a file that is damaged or does not fit.

    Raises:
        InputError: If the weights are damaged or do not fit the model.
    """
    with (
        untrusted.faults(path, what),
        weights_file(path, kind) as weights,
    ):
        model = build(make, count_numbers(weights), path)
        with stopping.postponed():  # HDF5 prints what is raised while it reads
            model.load_weights(weights)
    return model


def count_numbers(path: str | os.PathLike) -> int:
    """Returns how many numbers the arrays of an `.h5` file hold.

    Args:
        path: The file.

    Raises:
        InputError: See `untrusted.open_h5`.
    """
    with untrusted.open_h5(path) as file:
        return untrusted.count_numbers(file)


@contextlib.contextmanager
def weights_file(path: pathlib.Path, kind: str) -> Iterator[pathlib.Path]:
    """Gives a file of the weights whose name tells Keras its format.

    Keras reads weights inside an archive by jumping back and forth, and each jump back
    unpacks them from their start: ten times slower than to unpack them once.

    Args:
        path: The model file, whatever its name.
        kind: `"keras"` or `"h5"`.

    Raises:
        InputError: If the archive is damaged, or the block raises one; of that the name
            of the unpacked file, which nobody knows, is left out.
    """
    if kind == "h5" and re.search(r"(?<!\.weights)\.h5$", path.name):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        if kind == "keras":
            with untrusted.open_zip(path, "damaged .keras file") as archive:
                made = archive.extract("model.weights.h5", folder)
        else:
            made = shutil.copy(os.fspath(path), os.path.join(folder, "model.h5"))
        try:
            yield pathlib.Path(made)
        except InputError as error:
            raise InputError(str(error).replace(f"{made}: ", "")) from error


def group_weights(
    path: str | os.PathLike, group: str
) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Returns the arrays of one top layer of an `.h5` file, grouped by sublayer.

    Args:
        path: A whole-model `.h5` file of Keras 2.
        group: Name of the top layer; it may be a nested model.

    Returns:
        Dictionary from the sublayer's name, in the order of the file, to its
        `(kind, array)`, where the kind is `kernel`, `bias`, `gamma`, ...

    Raises:
        InputError: If the file has no such group.
    """
    found: dict[str, list] = {}
    with untrusted.open_h5(path) as file:
        weights = file.get("model_weights", file)
        if group not in weights:
            raise InputError(
                f"{path}: no weights of layer {group!r}; found {sorted(weights)}"
            )
        for name in weights[group].attrs.get("weight_names", ()):
            name = name.decode() if isinstance(name, bytes) else str(name)
            layer, _, kind = name.rpartition("/")
            array = np.asarray(weights[group][name])
            found.setdefault(layer.split("/")[-1], []).append((kind[:-2], array))
    return found


def assign(
    layer: keras.layers.Layer,
    arrays: Iterable[tuple[str, np.ndarray]],
    path: str | os.PathLike,
) -> None:
    """Sets the weights of a layer from named arrays, checking kinds and shapes.

    Args:
        layer: A built layer with direct weights.
        arrays: List of `(kind, array)`, for example `("kernel", ...)`.
        path: The file, for messages.

    Raises:
        InputError: If a weight is missing or has another shape.
    """
    given = dict(arrays)
    wanted = {weight.name: tuple(weight.shape) for weight in layer.weights}
    shapes = {kind: array.shape for kind, array in given.items()}
    if shapes != wanted:
        raise InputError(
            f"{path}: layer {layer.name} holds {shapes}, expected {wanted}"
        )
    layer.set_weights([given[weight.name] for weight in layer.weights])
