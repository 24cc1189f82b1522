"""The training step under TensorFlow, on one device or under a strategy for many."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from facedancer.dataset.reading import pairs, readers
from facedancer.models.layers.synchronized import means_over_replicas
from facedancer.networks.tensors import Tensor
from facedancer.train.drivers import distribution


class TensorFlowDriver:
    """Runs a step under a `tf.distribute` strategy; see `Driver`.

    Attributes:
        strategy: Where it runs.
        replicas: How many share the global batch.

    Args:
        strategy: In whose scope networks and optimisers are made.
        xla: Compile forward and backward with XLA.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, xla: bool = False
    ) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.optimizer_replicas = self.replicas
        self.xla = xla
        # XLA cannot compile the all-reduce within; then the sums are made before.
        self.sums_first = xla and self.replicas > 1

    @property
    def chief(self) -> bool:
        """Whether this process writes the files of the run."""
        return distribution.is_chief(self.strategy)

    @property
    def gpus(self) -> bool:
        """Whether there is a GPU."""
        return bool(tf.config.list_logical_devices("GPU"))

    def scope(self) -> contextlib.AbstractContextManager:
        """Returns the scope in which networks and optimisers are made."""
        return self.strategy.scope()

    def seed(self, number: int) -> None:
        """Makes the first weights a function of a number.

        Args:
            number: The seed.
        """
        keras.utils.set_random_seed(number)

    def bind(self, networks: list, optimizers: list, constants: list) -> None:
        """Does nothing: TensorFlow finds its variables itself.

        Args:
            networks: See `Driver.bind`.
            optimizers: See `Driver.bind`.
            constants: See `Driver.bind`.
        """

    def compiled(self, update: Callable, after: Callable) -> Callable:
        """Returns the traced step of all replicas.

        Args:
            update: See `Driver.compiled`.
            after: See `Driver.compiled`.
        """

        mean = _replicas_mean if self.replicas > 1 else None
        together = means_over_replicas(mean)(update)

        @tf.function(autograph=False)
        def run(batch: dict, draws: dict, step: tf.Tensor) -> tf.Tensor:
            values = self.strategy.run(together, (batch, draws, step))
            after(step)
            return self.strategy.experimental_local_results(values)[0]

        def step_of(batch: dict, draws: dict, step: int) -> tf.Tensor:
            draws = {name: tf.constant(value) for name, value in draws.items()}
            return run(batch, draws, tf.constant(step))

        return step_of

    def compiled_gradients(self, function: Callable) -> Callable:
        """Returns the function, compiled with XLA if that is wanted.

        Args:
            function: See `Driver.compiled_gradients`.
        """
        if not self.xla:
            return function
        return tf.function(function, jit_compile=True, autograph=False)

    def vjp(
        self, function: Callable, weights: list, inputs: tuple = ()
    ) -> tuple[Any, Any, Callable]:
        """Runs a function under a tape.

        Args:
            function: See `Driver.vjp`.
            weights: See `Driver.vjp`.
            inputs: See `Driver.vjp`.
        """
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs, extra = function(*inputs)
        sources = [*(weight.value for weight in weights), *inputs]

        def pull(upstream: Sequence[Tensor | None]) -> tuple[list, list]:
            given = [
                pair
                for pair in zip(outputs, upstream, strict=True)
                if pair[1] is not None
            ]
            targets, gradients = map(list, zip(*given, strict=True))
            found = tape.gradient(
                targets,
                sources,
                output_gradients=gradients,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            # Of an embedding it is rows with their numbers, which nothing adds up.
            found = [tf.convert_to_tensor(gradient) for gradient in found]
            return found[: len(weights)], found[len(weights) :]

        return outputs, extra, pull

    def sum_over_replicas(self, values: Any) -> Any:
        """Returns values added up over the replicas.

        Args:
            values: See `Driver.sum_over_replicas`.
        """
        if self.replicas == 1:
            return values
        context = tf.distribute.get_replica_context()
        if isinstance(values, list):
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
        shapes = [value.shape for value in values.values()]
        flat = tf.concat([tf.reshape(value, [-1]) for value in values.values()], 0)
        flat = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
        parts = tf.split(flat, [shape.num_elements() for shape in shapes])
        return {
            name: tf.reshape(part, shape)
            for name, part, shape in zip(values, parts, shapes, strict=True)
        }

    def replica(self) -> Tensor:
        """Returns this replica's number."""
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.cast(number, tf.int32)

    def local(self, whole: dict, count: int) -> dict:
        """Returns this replica's rows; every replica was given all of them.

        Args:
            whole: See `Driver.local`.
            count: See `Driver.local`.
        """
        first = self.replica() * count
        rows = {name: value[first : first + count] for name, value in whole.items()}
        return {
            name: tf.ensure_shape(value, (count, *value.shape[1:]))
            for name, value in rows.items()
        }

    def in_turn(self, before: Any, part: dict) -> dict:
        """Returns a part that waits for something else.

        Args:
            before: See `Driver.in_turn`.
            part: See `Driver.in_turn`.
        """
        with tf.control_dependencies(tf.nest.flatten(before)):
            return {name: tf.identity(value) for name, value in part.items()}

    def move(
        self, variable: keras.Variable, target: keras.Variable, factor: Tensor
    ) -> None:
        """Moves a variable a part of the way, on every replica.

        Args:
            variable: See `Driver.move`.
            target: See `Driver.move`.
            factor: See `Driver.move`.
        """

        def towards(moved: tf.Variable, new: tf.Tensor) -> None:
            moved.assign_add(factor * (new - moved))

        self.strategy.extended.update(
            variable.value, towards, args=(target.value,), group=False
        )

    def set_rate(self, optimizer: keras.optimizers.Optimizer, value: float) -> None:
        """Sets a learning rate.

        Args:
            optimizer: See `Driver.set_rate`.
            value: See `Driver.set_rate`.
        """
        optimizer.learning_rate = value

    def release(self) -> None:
        """Does nothing: variables are always up to date."""

    def batches(self, form: str, settings: Any, first_batch: int) -> Iterable[dict]:
        """Returns an endless iterable of the global batches, split over the replicas.

        Args:
            form: Key of `readers.READERS`.
            settings: What is read.
            first_batch: How many were used before.

        Raises:
            InputError: If the shards are missing or replicas do not divide the batch.
        """
        reader = readers.READERS[form]
        return distribution.batches(self.strategy, reader, settings, first_batch)

    def clear_errors(self) -> contextlib.AbstractContextManager:
        """Returns the block in which errors of the reader come out as such."""
        return pairs.clear_errors()

    def wait_for_all(self) -> None:
        """Returns when every worker has called it."""
        distribution.wait_for_all(self.strategy)


def _replicas_mean(value: tf.Tensor) -> tf.Tensor:
    """Returns the mean of all replicas' tensors; its gradient is such a mean too."""
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)
