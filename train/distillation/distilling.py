"""The training of a small encoder: what it is shown, its steps, what is written."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from keras import ops

from facedancer import arcface_model
from facedancer.arcface_model import Encoder, verification
from facedancer.dataset.jobs import report
from facedancer.errors import InputError
from facedancer.face.alignment import Alignment, check_equal
from facedancer.imaging import images
from facedancer.networks import optimizers
from facedancer.storage import files
from facedancer.train.distillation import face_views
from facedancer.train.distillation.agreement import distillation_loss
from facedancer.train.distillation.settings import DistillSettings

PLACES = "head_global/kernel"  # the layer that weighs places
NORM_BATCHES = 24  # over which means and variances are averaged
Step = Callable[[tf.Tensor], tf.Tensor]  # from a batch of crops to the mean loss


def crop_dataset(settings: DistillSettings, size: int) -> tf.data.Dataset:
    """Returns endless batches of crops, `(batch, size, size, 3)` float32 in [0, 1].

    The decoded crops are kept in memory.

    Args:
        settings: Names the folder, the batch and the seed.
        size: Side of the crops in pixels; others are resized.
    """
    crops = read_crops(images.list_images(settings.data_dir), size)
    logging.info("%d crops in %s", len(crops), settings.data_dir)
    data = tf.data.Dataset.from_tensor_slices(crops)
    data = data.shuffle(len(crops), seed=settings.seed).repeat()
    data = data.batch(settings.batch_size, drop_remainder=True)
    return data.map(lambda x: tf.cast(x, tf.float32) / 255.0).prefetch(4)


def read_crops(paths: Iterable[str | os.PathLike], size: int) -> np.ndarray:
    """Returns images as `(n, size, size, 3)` uint8.

    Args:
        paths: The files.
        size: Side in pixels; other sizes are resized, by areas when made smaller.
    """
    return np.stack([images.resize(images.read_image(path), size) for path in paths])


def make_step(
    teacher: Encoder,
    student: Encoder,
    optimizer: keras.optimizers.Optimizer,
    settings: DistillSettings,
) -> Step:
    """Returns a compiled function from a batch of crops to the mean loss.

    Args:
        teacher: Encoder to agree with.
        student: Encoder that is trained.
        optimizer: A Keras optimiser, built for the student.
        settings: Hints, mixup and degradation.
    """
    hints = [(own, other) for own, other in (h.split("=") for h in settings.hints)]
    teacher_taps = arcface_model.tap_model(teacher, [other for _, other in hints])
    student_taps = arcface_model.tap_model(student, [own for own, _ in hints])

    @tf.function(jit_compile=False)
    def step(crops: tf.Tensor) -> tf.Tensor:
        view = face_views.vary(crops)
        view = face_views.mix(view, settings.mixup)
        worse = face_views.degrade(view, settings.degrade)
        if settings.image_size != view.shape[1]:
            size = (settings.image_size, settings.image_size)
            worse = tf.image.resize(worse, size, antialias=True)
        target = teacher_taps(teacher.contract.from_unit(view), training=False)
        with tf.GradientTape() as tape:
            output = student_taps(student.contract.from_unit(worse), training=True)
            loss = ops.mean(
                distillation_loss(target, output, hints, settings.hint_weight)
            )
        weights = student.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return step


def evaluate(encoder: Encoder, folder: str) -> verification.Verification:
    """Returns how well an encoder verifies the people of a folder.

    Args:
        encoder: The encoder.
        folder: Aligned crops, one folder a person.
    """
    paths = images.list_images(folder)
    embedder = arcface_model.Embedder(encoder)
    embeddings = embedder.embed(read_crops(paths, encoder.contract.size))
    pairs, same = verification.balanced_pairs(
        [path.parent.name for path in paths], count=6000, seed=0
    )
    return verification.verify(embeddings, pairs, same)


def make_optimizer(settings: DistillSettings) -> keras.optimizers.Optimizer:
    """Returns AdamW with a warm-up, a cosine to zero and a moving average.

    Args:
        settings: Learning rate and number of steps.
    """
    warmup = min(500, settings.steps // 10)
    momentum = min(0.999, max(0.5, 1.0 - 20.0 / settings.steps))  # short runs forget
    return optimizers.adamw(
        settings.learning_rate,
        settings.steps,
        warmup,
        weight_decay=1e-4,
        clipnorm=1.0,
        use_ema=True,
        ema_momentum=momentum,
    )


def build_student(teacher: Encoder, settings: DistillSettings) -> Encoder:
    """Returns an encoder with new weights and vectors as long as the teacher's.

    Args:
        teacher: The encoder to agree with.
        settings: Name the student's size and width.

    Raises:
        InputError: If there is no encoder of that size.
    """
    try:
        return arcface_model.build_mobilefacenet(
            teacher.embedding_size,
            settings.image_size,
            settings.width,
            settings.blocks,
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def start_from(student: Encoder, path: str) -> None:
    """Gives a student the weights of an encoder, also of one for another input size.

    Only the weights of places, at the end, depend on the size; they are resampled.

    Args:
        student: The encoder; it is changed.
        path: File of the other one.

    Raises:
        InputError: If it has other layers, or another length of the vector.
    """
    found = arcface_model.load_encoder(path)
    names = [[weight.path for weight in x.weights] for x in (student, found)]
    values = [
        _resampled(other, own.shape) if own.path.endswith(PLACES) else other
        for own, other in zip(student.weights, found.get_weights(), strict=False)
    ]
    shapes = [value.shape for value in values]
    if names[0] != names[1] or shapes != [weight.shape for weight in student.weights]:
        raise InputError(
            f"--init: {path} is {found.name} of other layers: set --width and --blocks "
            "as they were when it was made."
        )
    student.set_weights(values)


def _resampled(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns `(side, side, channels, 1)` weights that add up over the same area."""
    side, size = shape[0], kernel.shape[0]
    found = ops.image.resize(kernel[..., 0], (side, side), interpolation="bilinear")
    return np.asarray(found)[..., None] * (size / side) ** 2


def distill(settings: DistillSettings) -> None:
    """Trains the student and writes it.

    Args:
        settings: All of it.

    Raises:
        InputError: If a file, folder or layer is not there.
    """
    aligned = report.alignment_of(settings.data_dir)
    check_equal(aligned, Alignment(), settings.data_dir, "identity encoders need it")
    keras.utils.set_random_seed(settings.seed)
    teacher = arcface_model.load_encoder(settings.teacher)
    student = build_student(teacher, settings)
    if settings.init:
        start_from(student, settings.init)
    if settings.frozen_norms:
        student = arcface_model.fold(student)
        student.trainable = True
    optimizer = make_optimizer(settings)
    optimizer.build(student.trainable_variables)
    if settings.eval_dir:
        logging.info("teacher: %s", evaluate(teacher, settings.eval_dir))
    try:
        step = make_step(teacher, student, optimizer, settings)
    except ValueError as error:
        raise InputError(f"--hints: {error}") from None
    output = pathlib.Path(settings.output)
    state = tf.train.Checkpoint(student=student, optimizer=optimizer)
    manager = tf.train.CheckpointManager(state, f"{output}.checkpoints", max_to_keep=1)
    manager.restore_or_initialize()
    run(step, student, optimizer, manager, teacher.contract.size, settings)


def run(
    step: Step,
    student: Encoder,
    optimizer: keras.optimizers.Optimizer,
    manager: tf.train.CheckpointManager,
    crop_size: int,
    settings: DistillSettings,
) -> None:
    """Steps to the end from wherever the optimiser stands.

    Args:
        step: What `make_step` returned.
        student: The encoder.
        optimizer: Its optimiser.
        manager: Keeps the checkpoints.
        crop_size: Side of the teacher's input in pixels.
        settings: All of it.
    """
    start = int(optimizer.iterations)
    seeded = dataclasses.replace(settings, seed=settings.seed + start)
    data = iter(crop_dataset(seeded, crop_size))
    losses, began = [], time.monotonic()
    for number in range(start + 1, settings.steps + 1):
        losses.append(step(next(data)))
        if number % settings.eval_every and number != settings.steps:
            continue
        rate = len(losses) * settings.batch_size / (time.monotonic() - began)
        loss = float(np.mean([float(value) for value in losses]))
        logging.info(
            "step %d/%d | %.0f faces/s | loss %.4f", number, settings.steps, rate, loss
        )
        _save(manager)
        write_averaged(student, optimizer, settings)
        losses, began = [], time.monotonic()


def _save(manager: tf.train.CheckpointManager) -> None:
    """Saves a checkpoint; TensorFlow's errors of a full disk are no `OSError`."""
    try:
        manager.save()
    except tf.errors.OpError as error:
        raise files.not_written(manager.directory, error) from None


def measure_norms(encoder: Encoder, settings: DistillSettings) -> None:
    """Sets the statistics of the batch norms to those of the encoder's own weights.

    Averaged weights are smaller than the ones the statistics were gathered with.

    Args:
        encoder: The encoder with averaged weights.
        settings: Names the crops.
    """
    kind = keras.layers.BatchNormalization
    norms = [layer for layer in encoder.layers if isinstance(layer, kind)]
    paths = images.list_images(settings.data_dir)
    draw = np.random.default_rng(settings.seed)
    for number in range(NORM_BATCHES):
        for layer in norms:
            layer.momentum = number / (number + 1)
        chosen = [paths[k] for k in draw.choice(len(paths), settings.batch_size)]
        crops = tf.constant(read_crops(chosen, encoder.contract.size), tf.float32) / 255
        encoder(encoder.contract.from_unit(face_views.vary(crops)), training=True)


def write_averaged(
    student: Encoder,
    optimizer: keras.optimizers.Optimizer,
    settings: DistillSettings,
) -> None:
    """Writes the student with the moving average of its weights, and evaluates it.

    Args:
        student: The encoder; its own weights are as before afterwards.
        optimizer: Holds the average.
        settings: Names the file and the evaluation folder.
    """
    averaged = type(student).from_config(student.get_config())
    averaged.set_weights(student.get_weights())
    pairs = zip(
        averaged.trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    )
    for weight, average in pairs:
        weight.assign(average)
    measure_norms(averaged, settings)
    if settings.frozen_norms:
        folded, averaged = averaged, build_student(student, settings)
        arcface_model.unfold(folded, averaged)
    with files.whole(settings.output) as temporary:
        averaged.save(temporary)
    if settings.eval_dir:
        logging.info("student: %s", evaluate(averaged, settings.eval_dir))
