"""Devices: which strategy a training runs under, and how batches reach the replicas."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from facedancer.dataset import pairs
from facedancer.errors import InputError


def quiet() -> None:
    """Switches off a graph rewriter of TensorFlow's that fails on these graphs.

    On CPUs it gives up with an error message, harmless but alarming.
    """
    tf.config.optimizer.set_experimental_options({"remapping": False})


def make_strategy(
    kind: str, devices: tuple[str, ...] = (), device_id: int = 0
) -> tf.distribute.Strategy:
    """Returns the strategy of a name.

    Args:
        kind: `one`, `mirrored`, `multi_worker` (from TF_CONFIG) or `auto`.
        devices: Devices of the mirrored strategy; empty for all GPUs.
        device_id: GPU of the strategy `one`; without a GPU the CPU is used.

    Raises:
        InputError: If a device or TF_CONFIG is missing.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if kind == "auto":
        workers = len(_cluster().get("worker", []))
        several = bool(devices) or len(gpus) > 1
        kind = "multi_worker" if workers > 1 else "mirrored" if several else "one"
    if kind == "multi_worker":
        if not _cluster():
            raise InputError(
                "--strategy=multi_worker needs the environment variable TF_CONFIG "
                "with the cluster and this worker's task"
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    if kind == "mirrored":
        return tf.distribute.MirroredStrategy(_known(devices) or None)
    if not gpus:
        return tf.distribute.get_strategy()
    if not 0 <= device_id < len(gpus):
        raise InputError(
            f"--device_id must be below the number of GPUs. Received: {device_id} "
            f"with {len(gpus)}"
        )
    return tf.distribute.OneDeviceStrategy(f"GPU:{device_id}")


def _cluster() -> dict:
    try:
        return json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    except (ValueError, AttributeError):
        raise InputError("TF_CONFIG is not a JSON object") from None


def _known(devices: tuple[str, ...]) -> list[str]:
    known = {
        device.name.removeprefix("/device:")
        for device in tf.config.list_logical_devices()
    }
    unknown = [name for name in devices if name.removeprefix("/device:") not in known]
    if unknown:
        raise InputError(
            f"--devices must be of {', '.join(sorted(known))}. "
            f"Received: {', '.join(unknown)}"
        )
    return list(devices)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes the files of the run."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return resolver.task_type == "chief" or (
        resolver.task_type == "worker"
        and resolver.task_id == 0
        and "chief" not in resolver.cluster_spec().jobs
    )


def batches(
    strategy: tf.distribute.Strategy, settings: pairs.PairSettings, first_batch: int
):
    """Returns an endless iterable of the global batches, split over the replicas.

    Args:
        strategy: The strategy of the training.
        settings: What is read; `batch_size` is the global batch.
        first_batch: How many were used before.

    Raises:
        InputError: If the shards are missing or replicas do not divide the batch.
    """
    replicas = strategy.num_replicas_in_sync
    if settings.batch_size % replicas:
        raise InputError(
            f"--batch_size must be a multiple of the {replicas} replicas. "
            f"Received: {settings.batch_size}"
        )
    if replicas == 1:
        return pairs.make_dataset(settings, first_batch)

    def per_worker(context: tf.distribute.InputContext):
        dataset = pairs.make_dataset(
            settings,
            first_batch,
            context.input_pipeline_id,
            context.num_input_pipelines,
        )
        return dataset.rebatch(settings.batch_size // replicas).prefetch(2)

    return strategy.distribute_datasets_from_function(per_worker)
