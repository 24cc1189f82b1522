"""The training step under JAX: one compiled program over all devices, no TensorFlow.

The step is written with variables that change. JAX wants functions of arrays: within a
`keras.StatelessScope` every variable stands for an array that is handed in, and what is
assigned to it is handed out again. The arrays of the trained variables are donated, so
a step needs no second copy of them; the variables themselves are brought up to date
only when somebody looks (`release`).

Several devices share the batch by `jax.shard_map`: each runs the step of one replica on
its rows, and sums and gradients are added up by `psum`.
"""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from absl import logging
from jax.sharding import NamedSharding, PartitionSpec

from facedancer.dataset.reading import photo_plan, readers
from facedancer.dataset.reading.pair_reader import PairReader
from facedancer.errors import InputError
from facedancer.models.layers.synchronized import means_over_replicas
from facedancer.networks.tensors import Tensor
from facedancer.train.drivers import device_photos
from facedancer.train.drivers.variable_arrays import VariableArrays

_AXIS = "batch"


class JaxDriver:
    """Runs a step on one or several devices; see `Driver`.

    Attributes:
        replicas: Devices that share the global batch.

    Args:
        devices: Their numbers among `jax.devices()`; empty: all.
        cache_dir: Folder where compiled programs are kept for the next start; empty:
            none are.
        photo_mb: Memory of a device for decoded photos, in MB, see
            `device_photos.room`.

    Raises:
        InputError: If there is no such device.
    """

    chief = True
    sums_first = False
    optimizer_replicas = 1  # gradients are added up before

    def __init__(
        self,
        devices: tuple[str, ...] = (),
        cache_dir: str = "",
        photo_mb: int | None = None,
    ) -> None:
        self.photo_mb = photo_mb
        self._photos, self._jitter = None, "none"
        chosen = _chosen(devices)
        self.replicas = len(chosen)
        self._mesh = jax.sharding.Mesh(np.array(chosen), (_AXIS,))
        self._held = VariableArrays([], [], [])
        self._values: list | None = None
        self._frozen: list | None = None
        if cache_dir:
            jax.config.update("jax_compilation_cache_dir", cache_dir)
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns a block without an effect: variables need no scope here."""
        return contextlib.nullcontext()

    def seed(self, number: int) -> None:
        """Makes the first weights a function of a number.

        Keras' own function imports TensorFlow wherever that is installed.

        Args:
            number: The seed.
        """
        random.seed(number)
        np.random.seed(number)

    def bind(self, networks: list, optimizers: list, constants: list) -> None:
        """Tells the driver which variables there are.

        Args:
            networks: See `Driver.bind`.
            optimizers: See `Driver.bind`.
            constants: See `Driver.bind`.
        """
        self._held = VariableArrays(networks, optimizers, constants)
        self._values = self._frozen = None

    def compiled(self, update: Callable, after: Callable) -> Callable:
        """Returns the compiled step of all devices.

        Args:
            update: See `Driver.compiled`.
            after: See `Driver.compiled`.
        """
        held = self._held

        def body(
            values: list,
            rates: list,
            constants: list,
            photos: jax.Array | None,
            batch: dict,
            draws: dict,
            step: jax.Array,
        ) -> tuple[list, jax.Array]:
            with held.standing_for(values, rates, constants) as scope:
                found = update(self._images(photos, batch), draws, step)
                after(step)
                new = [scope.get_current_value(v) for v in held.trained]
            return new, found

        if self.replicas > 1:
            body = self._sharded(body)
        run = jax.jit(body, donate_argnums=0)

        def step_of(batch: dict, draws: dict, step: int) -> jax.Array:
            if self._frozen is None:
                self._frozen = self._everywhere([v.value for v in held.constants])
            if self._values is None:
                self._values = self._everywhere([v.value for v in held.trained])
            rates = [v.value for v in held.rates]
            self._values, found = run(
                self._values,
                self._everywhere(rates),
                self._frozen,
                self._photos,
                self._rows(batch),
                self._rows(draws),
                step,
            )
            return found

        return step_of

    def _sharded(self, body: Callable) -> Callable:
        """Returns the step of one replica as a function of all devices' rows."""
        whole, rows = PartitionSpec(), PartitionSpec(_AXIS)
        mean = functools.partial(jax.lax.pmean, axis_name=_AXIS)
        return jax.shard_map(
            means_over_replicas(mean)(body),
            mesh=self._mesh,
            in_specs=(whole, whole, whole, whole, rows, rows, whole),
            out_specs=(whole, whole),
            check_vma=False,  # gradients are one replica's until they are added up
        )

    def _images(self, photos: jax.Array | None, batch: dict) -> dict:
        """Returns a batch with its images in [-1, 1], made on the device."""
        if photos is not None:
            return device_photos.images(photos, batch, self._jitter)
        return _signed(batch)

    def _everywhere(self, arrays: list) -> list:
        """Returns arrays that every device holds."""
        if self.replicas == 1:
            return list(arrays)
        return jax.device_put(list(arrays), NamedSharding(self._mesh, PartitionSpec()))

    def _rows(self, arrays: dict) -> dict:
        """Returns arrays whose rows are spread over the devices."""
        arrays = {name: _narrow(np.asarray(value)) for name, value in arrays.items()}
        if self.replicas == 1:
            return arrays
        return jax.device_put(arrays, NamedSharding(self._mesh, PartitionSpec(_AXIS)))

    def compiled_gradients(self, function: Callable) -> Callable:
        """Returns the function itself: the whole step is compiled.

        Args:
            function: See `Driver.compiled_gradients`.
        """
        return function

    def vjp(
        self, function: Callable, weights: list, inputs: tuple = ()
    ) -> tuple[Any, Any, Callable]:
        """Runs a function and keeps its pull-back.

        Args:
            function: See `Driver.vjp`.
            weights: See `Driver.vjp`.
            inputs: See `Driver.vjp`.
        """
        held, current = self._held, self._held.current()

        def pure(values: list, inputs: list) -> tuple[Any, tuple[Any, list]]:
            mapping = {**current}
            for weight, value in zip(weights, values, strict=True):
                mapping[id(weight)] = (weight, value)
            with held.within(list(mapping.values())) as scope:
                outputs, extra = function(*inputs)
                moved = [scope.get_current_value(v) for v in held.moving]
            return outputs, (extra, moved)

        values = [current[id(weight)][1] for weight in weights]
        outputs, pull, (extra, moved) = jax.vjp(
            pure, values, list(inputs), has_aux=True
        )
        for variable, value in zip(held.moving, moved, strict=True):
            variable.assign(value)

        def pulled(upstream: Sequence[Tensor | None]) -> tuple[list, list]:
            given = [
                jnp.zeros_like(output)
                if one is None
                else jnp.asarray(one, output.dtype)
                for output, one in zip(outputs, upstream, strict=True)
            ]
            return pull(tuple(given))

        return outputs, extra, pulled

    def sum_over_replicas(self, values: Any) -> Any:
        """Returns values added up over the devices.

        Args:
            values: See `Driver.sum_over_replicas`.
        """
        return values if self.replicas == 1 else jax.lax.psum(values, _AXIS)

    def replica(self) -> Tensor:
        """Returns this replica's number."""
        return jax.lax.axis_index(_AXIS) if self.replicas > 1 else 0

    def local(self, whole: dict, count: int) -> dict:
        """Returns the rows as they are: each device was given its own.

        Args:
            whole: See `Driver.local`.
            count: See `Driver.local`.
        """
        return whole

    def in_turn(self, before: Any, part: dict) -> dict:
        """Returns a part that waits for something else.

        Args:
            before: See `Driver.in_turn`.
            part: See `Driver.in_turn`.
        """
        return jax.lax.optimization_barrier((before, part))[1]

    def move(
        self, variable: keras.Variable, target: keras.Variable, factor: Tensor
    ) -> None:
        """Moves a variable a part of the way.

        Args:
            variable: See `Driver.move`.
            target: See `Driver.move`.
            factor: See `Driver.move`.
        """
        variable.assign(variable.value + factor * (target.value - variable.value))

    def set_rate(self, optimizer: keras.optimizers.Optimizer, value: float) -> None:
        """Sets a learning rate.

        Args:
            optimizer: See `Driver.set_rate`.
            value: See `Driver.set_rate`.
        """
        optimizer.learning_rate = value

    def release(self) -> None:
        """Brings the variables up to date; they may then be read and changed."""
        if self._values is None:
            return
        for variable, value in zip(self._held.trained, self._values, strict=True):
            variable.assign(value)
        self._values = None

    def batches(
        self, form: str, settings: Any, first_batch: int
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yields the global batches, read by NumPy in threads.

        Where all photos fit onto the device they are decoded once and lie there; a
        batch is then only numbers that say what is made of them. Else its images are
        uint8.

        Args:
            form: Key of `readers.READERS`.
            settings: What is read.
            first_batch: How many were used before.

        Raises:
            InputError: If the shards are missing or a record is damaged.
        """
        reader = readers.READERS[form].reader(settings)
        self._photos = None
        if type(reader) is PairReader and self._fits(reader):
            photos = photo_plan.decode(reader)
            self._photos = self._everywhere([jnp.asarray(photos.images)])[0]
            self._jitter = settings.jitter
            reader = photo_plan.PhotoPlan(reader, photos)
        return readers.ahead(reader, first_batch)

    def _fits(self, reader: PairReader) -> bool:
        """Returns whether the photos of a reader are to lie on the device."""
        if reader.settings.distortion != "none":
            return False
        wanted = photo_plan.bytes_of(reader)
        room = device_photos.room(self._mesh.devices.flat[0], self.photo_mb)
        if wanted > room:
            logging.info(
                "%d photos, %.0f MB, stay on disk: the device has room for %.0f MB",
                len(reader.index),
                wanted / 2**20,
                room / 2**20,
            )
        return wanted <= room

    def clear_errors(self) -> contextlib.AbstractContextManager:
        """Returns a block without an effect: the reader's errors come out as such."""
        return contextlib.nullcontext()

    def wait_for_all(self) -> None:
        """Returns at once: there is one process."""


def _chosen(devices: tuple[str, ...]) -> list:
    """Returns the devices of some names, such as `gpu:0` or `1`."""
    known = jax.devices()
    if not devices:
        return known
    numbers = [word.rpartition(":")[2] for word in devices]
    wrong = [n for n in numbers if not n.isdecimal() or int(n) >= len(known)]
    if wrong or len(set(numbers)) < len(numbers):
        raise InputError(
            f"--devices must be numbers below {len(known)}, each once. "
            f"Received: {', '.join(devices)}"
        )
    return [known[int(number)] for number in numbers]


def _narrow(array: np.ndarray) -> np.ndarray:
    """Returns labels as int32, which JAX would make of them with a warning."""
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _signed(batch: dict) -> dict:
    """Returns uint8 images as float32 in [-1, 1], made on the device."""
    return {
        name: value.astype(jnp.float32) / 127.5 - 1.0
        if value.dtype == jnp.uint8
        else value
        for name, value in batch.items()
    }
