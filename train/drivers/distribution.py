"""Devices: which strategy a training runs under, and how batches reach the replicas."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from facedancer.dataset.reading.readers import Form
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
        InputError: If a device or TF_CONFIG is missing, or TF_CONFIG is incomplete.
    """
    if of_several_processes(kind):
        # Before anything asks for devices: afterwards it is too late for collectives.
        return _multi_worker(devices)
    gpus = tf.config.list_logical_devices("GPU")
    if kind == "auto":
        kind = "mirrored" if devices or len(gpus) > 1 else "one"
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


def _multi_worker(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    if not _workers():
        raise InputError(
            "--strategy=multi_worker needs the environment variable TF_CONFIG "
            "with the cluster and this worker's task"
        )
    if devices:
        raise InputError(
            "--devices is for one machine; each of several workers uses all its GPUs. "
            f"Received: {', '.join(devices)}"
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def of_several_processes(kind: str) -> bool:
    """Returns whether this process is one of several that train together.

    Args:
        kind: One of `STRATEGIES`.
    """
    return kind == "multi_worker" or (kind == "auto" and _workers() > 1)


def _workers() -> int:
    """Returns how many processes TF_CONFIG names, the chief among them; 0 without it.

    Raises:
        InputError: If TF_CONFIG does not say what a worker must know.
    """
    text = os.environ.get("TF_CONFIG", "").strip() or "{}"
    try:
        config = json.loads(text)
    except ValueError as error:
        raise InputError(f"TF_CONFIG is not a JSON object ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"TF_CONFIG is not a JSON object. Received: {text}")
    cluster = config.get("cluster", {})
    if cluster == {}:  # as hosts of single machines set it
        return 0
    if not isinstance(cluster, dict) or not all(map(_is_job, cluster.items())):
        raise InputError(
            "The `cluster` of TF_CONFIG must be an object of `worker`, one `chief` or "
            "both, each with a list of addresses such as 10.0.0.1:12345. "
            f"Received: {json.dumps(cluster)}"
        )
    _check_task(config.get("task"), cluster)
    return sum(map(len, cluster.values()))


def _is_job(job: tuple) -> bool:
    name, hosts = job
    if not isinstance(hosts, list) or not all(":" in str(host) for host in hosts):
        return False
    return bool(hosts) and (name == "worker" or (name == "chief" and len(hosts) == 1))


def _check_task(task: object, cluster: dict) -> None:
    known = {(job, k) for job, hosts in cluster.items() for k in range(len(hosts))}
    task = task if isinstance(task, dict) else {}
    index = str(task.get("index"))
    if not index.isdecimal() or (str(task.get("type")), int(index)) not in known:
        raise InputError(
            "The `task` of TF_CONFIG must be an object with the `type` and `index` of "
            f"this process, one of {sorted(known)}. Received: {json.dumps(task)}"
        )


def _known(devices: tuple[str, ...]) -> list[str]:
    known = {
        device.name.removeprefix("/device:")
        for device in tf.config.list_logical_devices()
    }
    names = [name.removeprefix("/device:") for name in devices]
    if not known.issuperset(names) or len(set(names)) < len(names):
        raise InputError(
            f"--devices must be of {', '.join(sorted(known))}, each once. "
            f"Received: {', '.join(devices)}"
        )
    return names


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when every worker has called it, so that none leaves the others alone.

    Args:
        strategy: The strategy of the training.
    """
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        strategy.run(tf.function(_meet))


def _meet() -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.ones(()))


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
    strategy: tf.distribute.Strategy, form: Form, settings: Any, first_batch: int
) -> Iterable[dict]:
    """Returns an endless iterable of the global batches, split over the replicas.

    Args:
        strategy: The strategy of the training.
        form: How it is read.
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
        return form.dataset(settings, first_batch)

    def per_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        dataset = form.dataset(
            settings,
            first_batch,
            context.input_pipeline_id,
            context.num_input_pipelines,
        )
        return dataset.rebatch(settings.batch_size // replicas).prefetch(2)

    return strategy.distribute_datasets_from_function(per_worker)
