"""Writes models to files that appear whole or not at all, and compares them."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterator

import keras
import numpy as np
from absl import logging
from keras import ops

from facedancer.errors import InputError
from facedancer.models import published_writer
from facedancer.models.config import GeneratorConfig

LAYOUTS = ("native", "published")


@contextlib.contextmanager
def whole(path: str | os.PathLike, *companions: str) -> Iterator[pathlib.Path]:
    """Gives a temporary path of the same ending, and renames it at the end.

    When the block fails, nothing is left behind.

    Args:
        path: The file or folder to be written. Its folder is made.
        *companions: Endings of further files that are written beside it.

    Raises:
        InputError: If the place cannot be written.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    pairs = [(temporary, path)]
    pairs += [(temporary.with_suffix(c), path.with_suffix(c)) for c in companions]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        for made, final in pairs:
            if final.is_dir():
                shutil.rmtree(final)
            os.replace(made, final)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{path}: cannot be written ({error})") from None
    finally:
        for made, _ in pairs:
            if made.is_dir():
                shutil.rmtree(made)
            elif made.exists():
                made.unlink()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leaves out absl's warnings, such as the one that `.h5` is an old format."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def save(model: keras.Model, path: str | os.PathLike, layout: str = "native") -> None:
    """Writes a generator or discriminator.

    Args:
        model: The model.
        path: A name that ends in `.keras` or `.h5`.
        layout: `"native"` keeps everything of the model; `"published"`, for `.h5`
            only, is read by the original programs and forgets encoder and template.

    Raises:
        InputError: If the ending or the layout does not fit.
    """
    check(path, layout)
    with whole(path) as temporary, quiet():
        if layout == "published":
            published_writer.save_published(model, temporary)
        else:
            model.save(temporary, include_optimizer=False)


def round_to_half(model: keras.Model) -> None:
    """Rounds all weights to what 16 bits can hold (11 bits of precision), in place.

    Args:
        model: The model; its weights stay float32.
    """
    top = np.finfo(np.float16).max
    rounded = [w.clip(-top, top).astype(np.float16) for w in model.get_weights()]
    model.set_weights([w.astype(np.float32) for w in rounded])


def compress(path: str | os.PathLike) -> None:
    """Compresses a `.keras` file, which Keras writes uncompressed.

    Args:
        path: The file. Rounded weights (`round_to_half`) shrink to about half.
    """
    with whole(path) as temporary, zipfile.ZipFile(path) as stored:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, True, 9) as packed:
            for name in stored.namelist():
                packed.writestr(name, stored.read(name))


def check(path: str | os.PathLike, layout: str = "native") -> None:
    """Refuses what `save` cannot write.

    Args:
        path: See `save`.
        layout: See `save`.

    Raises:
        InputError: If the ending or the layout does not fit.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".keras", ".h5"):
        raise InputError(f"{path}: expected a name that ends in .keras or .h5")
    if layout not in LAYOUTS or (layout == "published" and path.suffix != ".h5"):
        raise InputError(
            f"The layout must be native, or published for .h5. Received: {layout!r} "
            f"for {path.name}"
        )


def random_inputs(config, batch: int = 2, seed: int = 0) -> list[np.ndarray]:
    """Returns a seeded test input of a generator or discriminator.

    Args:
        config: Its structure.
        batch: How many examples.
        seed: Of the random numbers.

    Returns:
        Images in [-1, 1], and for a generator vectors of variance 1; float32.
    """
    rng = np.random.default_rng(seed)
    shape = (batch, config.image_size, config.image_size, 3)
    inputs = [rng.uniform(-1.0, 1.0, shape)]
    if isinstance(config, GeneratorConfig):
        inputs.append(rng.normal(size=(batch, config.identity_size)))
    return [array.astype(np.float32) for array in inputs]


def output_of(model: keras.Model, inputs: list[np.ndarray]) -> np.ndarray:
    """Returns a model's output as an array.

    Args:
        model: A generator or discriminator.
        inputs: What `random_inputs` gives.
    """
    fed = inputs if len(inputs) > 1 else inputs[0]
    return ops.convert_to_numpy(model(fed, training=False))
