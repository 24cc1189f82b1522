"""One update of generator and discriminator, on one replica or many.

Both are updated from the same forward pass, as published. Each network runs no more
often than the formulas need: the encoder sees a target once, and the backward pass
through the discriminator serves its own update and the generator's.

All sums are over the global batch: a replica's sums are all-reduced before anything
that is not linear (hinges, clips, ratios), and gradients are summed over replicas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from facedancer.train.frozen import teachers
from facedancer.train.objective import losses, measures
from facedancer.train.objective.recipes import Objective
from facedancer.train.step import adversarial, gradient_updates
from facedancer.train.step.state import State


@dataclasses.dataclass(frozen=True)
class Phase:
    """What kind of step it is; each kind is traced once.

    Attributes:
        warm_up: Only reconstruct, every pair as a same pair.
        with_r1: Add the penalty R1.
    """

    warm_up: bool = False
    with_r1: bool = False


def phase_of(objective: Objective, step: int) -> Phase:
    """Returns the kind of a step.

    Args:
        objective: The recipe.
        step: Steps already taken.
    """
    if step < objective.warmup_steps:
        return Phase(warm_up=True)
    penalty = objective.adversarial and objective.r1_gamma
    return Phase(with_r1=bool(penalty) and step % objective.r1_every == 0)


@dataclasses.dataclass(frozen=True)
class Critics:
    """The frozen networks that judge the swapped faces.

    Attributes:
        teacher: The identity encoder; its vectors condition the generator.
        margins: IFSR margins of the teacher's taps.
        second: A second identity encoder, or None.
        features: `image_signed, look -> list of maps` for the perceptual loss, or None
            for the teacher's taps.
        relative: See `measures.perceptual_sum`.
    """

    teacher: teachers.Teacher
    margins: tuple[float, ...] = ()
    second: teachers.Teacher | None = None
    features: Callable | None = None
    relative: bool = True


class TrainStep:
    """Takes training steps.

    Args:
        state: What is trained; made in the strategy's scope.
        critics: The frozen networks.
        objective: The recipe.
        batch_size: The global batch.
        strategy: The strategy in whose scope the state was made.
        accumulation: Parts that a batch is worked through in, to save memory.
        seed: Of the random looks.
        xla: Compile forward and backward with XLA.

    Raises:
        ValueError: If replicas times accumulation do not divide the batch.
    """

    def __init__(
        self,
        state: State,
        critics: Critics,
        objective: Objective,
        batch_size: int,
        strategy: tf.distribute.Strategy | None = None,
        accumulation: int = 1,
        seed: int = 0,
        xla: bool = False,
    ):
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        if batch_size % (self.replicas * accumulation):
            raise ValueError(
                "`batch_size` must be a multiple of replicas times accumulation. "
                f"Received: batch_size={batch_size} for {self.replicas} replicas, "
                f"accumulation={accumulation}"
            )
        self.state, self.critics, self.objective = state, critics, objective
        self.batch_size, self.accumulation = batch_size, accumulation
        self.seed = seed
        self.names: dict[Phase, list[str]] = {}
        self._gradients = self._gradients_of
        if xla:
            self._gradients = tf.function(
                self._gradients_of, jit_compile=True, autograph=False
            )
        # XLA cannot compile the all-reduce within; then the sums are made before.
        self._sums_first = accumulation > 1 or (xla and self.replicas > 1)
        self._functions: dict[Phase, Callable] = {}
        half = hasattr(state.d_optimizer, "dynamic_scale")
        # With float16 the shared backward pass would lose small values.
        self._shared = objective.kind in ("nonsaturating", "relativistic") and not half

    def __call__(self, batch: dict) -> tuple[Phase, tf.Tensor]:
        """Takes one step.

        Args:
            batch: Of the dataset: `target`, `source`, `same` and the identities.

        Returns:
            The step's phase and the vector of its values, named by `names[phase]`.
        """
        phase = phase_of(self.objective, self.state.step)
        if phase not in self._functions:
            self._functions[phase] = self._traced(phase)
        values = self._functions[phase](batch, tf.constant(self.state.step))
        self.state.step += 1
        return phase, values

    def set_learning_rate(self, value: float) -> None:
        """Sets the generator's learning rate, and the discriminator's with it."""
        self.state.g_optimizer.learning_rate = value
        if self.state.d_optimizer is not None:
            factor = self.objective.d_lr_factor
            self.state.d_optimizer.learning_rate = value * factor

    def _traced(self, phase: Phase):
        @tf.function(autograph=False)
        def run(batch, step):
            values = self.strategy.run(self._replica_step, (batch, step, phase))
            if self.state.average is not None:
                self._update_average(step)
            return self.strategy.experimental_local_results(values)[0]

        return run

    def _update_average(self, step):
        """Moves the average; early on it forgets faster (Karras et al. 2018)."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.objective.ema, (1.0 + step) / (10.0 + step))

        def move(variable, new):
            variable.assign_add((1.0 - decay) * (new - variable))

        for average, weight in zip(
            self.state.average.weights, self.state.generator.weights, strict=True
        ):
            self.strategy.extended.update(
                average.value, move, args=(weight.value,), group=False
            )

    def _replica_step(self, batch, step, phase: Phase):
        context, state = tf.distribute.get_replica_context(), self.state
        batch = self._with_look(batch, step, context.replica_id_in_sync_group)
        if self._sums_first:
            g_grads, d_grads, sums = self._accumulate(batch, phase)
        else:
            g_grads, d_grads, sums = self._gradients(batch, phase, None)
        sums = self._sum_over_replicas(sums)
        values = self._report(sums, phase)
        pairs = [("g", state.g_optimizer, g_grads, state.generator)]
        if d_grads:
            pairs.append(("d", state.d_optimizer, d_grads, state.discriminator))
        for letter, *pair in pairs:
            found = gradient_updates.apply(
                *pair, self.replicas, self.objective.clip_norm
            )
            values |= {f"{letter}_{name}": value for name, value in found.items()}
        self.names[phase] = list(values)
        return tf.stack([tf.cast(value, tf.float32) for value in values.values()])

    def _with_look(self, batch, step, replica):
        """Adds this replica's share of the looks, and its rows in the global batch."""
        count = self.batch_size // self.replicas
        shrink = self.critics.teacher.shrink
        if self.objective.look:
            seed = tf.stack([tf.cast(self.seed, tf.int32), tf.cast(step, tf.int32)])
            whole = teachers.random_look(seed, self.batch_size, shrink)
        else:
            whole = teachers.whole_look(self.batch_size, shrink)
        first = tf.cast(replica, tf.int32) * count
        share = {
            field.name: getattr(whole, field.name)[first : first + count]
            for field in dataclasses.fields(whole)
        }
        share = {k: tf.ensure_shape(v, (count, *v.shape[1:])) for k, v in share.items()}
        batch = {
            name: tf.ensure_shape(value, (count, *value.shape[1:]))
            for name, value in batch.items()
        }
        same = batch["same"]
        if self.objective.same_person_ratio:
            person = batch["target_identity"]
            known = tf.logical_and(person >= 0, person == batch["source_identity"])
            same = tf.maximum(same, tf.cast(known, tf.float32))
        pair = {name: batch[name] for name in ("target", "source")}
        return {**pair, "same": same, "row": first + tf.range(count), **share}

    def _accumulate(self, batch, phase: Phase):
        """Gradients of a batch worked through in parts.

        What is not linear needs the sums of the whole batch first, hence a forward
        pass over all parts before the one with gradients.
        """
        count = self.batch_size // self.replicas // self.accumulation
        parts = [
            {name: value[k * count : (k + 1) * count] for name, value in batch.items()}
            for k in range(self.accumulation)
        ]
        totals = None
        for part in parts:
            sums = self._generator_sums(part, phase)[1]
            totals = _add(totals, sums)
        totals = self._sum_over_replicas(totals)
        found = None
        for part in parts:
            if found is not None:  # one part after the other, or no memory is saved
                with tf.control_dependencies(tf.nest.flatten(found)):
                    part = {name: tf.identity(value) for name, value in part.items()}
            found = _add(found, self._gradients(part, phase, totals))
        return found

    def _sum_over_replicas(self, sums: dict) -> dict:
        if self.replicas == 1:
            return sums
        context = tf.distribute.get_replica_context()
        shapes = [value.shape for value in sums.values()]
        flat = tf.concat([tf.reshape(value, [-1]) for value in sums.values()], 0)
        flat = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
        parts = tf.split(flat, [shape.num_elements() for shape in shapes])
        return {
            name: tf.reshape(part, shape)
            for name, part, shape in zip(sums, parts, shapes, strict=True)
        }

    def _see(self, batch, phase: Phase):
        """Returns what the teacher says of target and source, without gradients."""
        teacher = self.critics.teacher
        look = teachers.Look(batch["scale"], batch["shift"], batch["mirrored"])
        target, source, same = batch["target"], batch["source"], batch["same"]
        count = target.shape[0]
        if phase.warm_up:
            source, same = target, tf.ones_like(same)
        source_vector = teacher(source, teachers.whole_look(count, teacher.shrink))[1]
        maps, target_vector = [], source_vector
        if not phase.warm_up:
            maps, target_vector = teacher(target, look)
        constants = tf.nest.map_structure(
            tf.stop_gradient, (source_vector, target_vector, maps)
        )
        return measures.Seen(target, same, *constants, look, teacher.shrink)

    def _generator_sums(self, batch, phase: Phase):
        """Returns the swapped images and the sums of the generator's terms."""
        objective, critics = self.objective, self.critics
        seen = self._see(batch, phase)
        swapped = self._generate(seen.target, seen.source_vector)
        sums = {"examples": tf.cast(tf.shape(swapped)[0], tf.float32)}
        sums |= measures.image_sums(objective, seen, swapped, phase.warm_up)
        if phase.warm_up:
            return swapped, sums
        maps, vector = critics.teacher(swapped, seen.look)
        sums |= measures.teacher_sums(
            objective, seen, maps, vector, self.critics.margins
        )
        if objective.second_identity and critics.second is not None:
            sums["second_identity"] = self._second_identity(batch, swapped, seen.look)
        if objective.perceptual:
            sums["perceptual"] = self._perceptual(seen, swapped, maps)
        if objective.cycle:
            sums |= self._cycle_sums(batch["row"], seen, swapped)
        return swapped, sums

    def _cycle_sums(self, row, seen: measures.Seen, swapped) -> dict:
        """Sums over every so-manieth row of the global batch, swapped back.

        Of a part, a replica's or an accumulated one, these may be fewer than there are
        places; a place that is left over has the weight 0.
        """
        rows, weights = measures.rows_to_cycle(
            row, self.objective.cycle_every, self.batch_size
        )
        target, vector, swapped = (
            part[rows] if isinstance(rows, slice) else tf.gather(part, rows)
            for part in (seen.target, seen.target_vector, swapped)
        )
        back = self._generate(swapped, vector)
        values = weights * losses.absolute_difference(target, back)
        return {"cycle": tf.reduce_sum(values), "cycled": tf.reduce_sum(weights)}

    def _generate(self, target, vector):
        return tf.cast(
            self.state.generator([target, vector], training=True), tf.float32
        )

    def _second_identity(self, batch, swapped, look):
        second = self.critics.second
        whole = teachers.whole_look(swapped.shape[0], second.shrink)
        source = tf.stop_gradient(second(batch["source"], whole)[1])
        return tf.reduce_sum(losses.identity_loss(source, second(swapped, look)[1]))

    def _perceptual(self, seen: measures.Seen, swapped, maps):
        features = self.critics.features
        if features is None:
            pair = seen.target_maps, maps
        else:
            pair = features(seen.target), features(swapped)
        return measures.perceptual_sum(seen, *pair, self.critics.relative)

    def _gradients_of(self, batch, phase: Phase, totals: dict | None):
        """Returns this replica's gradients and sums.

        Args:
            batch: This replica's examples.
            phase: The kind of step.
            totals: The generator's sums over the global batch, where they are known
                already.
        """
        objective, margins = self.objective, self.critics.margins
        with tf.GradientTape() as tape:
            swapped, sums = self._generator_sums(batch, phase)
            everywhere = totals or self._sum_over_replicas(sums)
            # The value of the global sum with the gradient of the local one.
            linked = {
                name: value + tf.stop_gradient(everywhere[name] - value)
                for name, value in sums.items()
            }
            terms = measures.combine(
                objective, linked, self.batch_size, margins, phase.warm_up
            )
            total = measures.weighted(objective, terms)
        scale = gradient_updates.loss_scale(self.state.g_optimizer)
        outputs, upstream, d_grads = [total], [scale], []
        if objective.adversarial and not phase.warm_up:
            d_grads, at_swapped, d_sums = adversarial.discriminate(
                self.state,
                objective,
                batch[objective.real_images],
                swapped,
                self.batch_size,
                phase.with_r1,
                self._shared,
            )
            outputs.append(swapped)
            upstream.append(objective.adversarial * scale * at_swapped)
            sums = sums | d_sums
        weights = self.state.generator.trainable_variables
        g_grads = tape.gradient(
            outputs,
            [weight.value for weight in weights],
            output_gradients=upstream,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return g_grads, d_grads, sums

    def _report(self, sums: dict, phase: Phase) -> dict:
        """Returns the values of one step: unweighted terms and what is watched."""
        terms = measures.combine(
            self.objective, sums, self.batch_size, self.critics.margins, phase.warm_up
        )
        values = {"g_loss": measures.weighted(self.objective, terms), **terms}
        if "adversarial" in sums:
            for name in ("adversarial", "d_fake", "d_real", "r1", "fooled", "trusted"):
                if name in sums:
                    values[name] = sums[name] / self.batch_size
            values["g_loss"] += self.objective.adversarial * values["adversarial"]
            values["d_loss"] = values["d_fake"] + values["d_real"]
        return values | measures.watched(sums)


def _add(first, second):
    if first is None:
        return second
    return tf.nest.map_structure(tf.add, first, second)
