"""Two worker processes equal one; TF_CONFIG; data reach the replicas in order."""

import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from facedancer.dataset.reading import pairs, readers
from facedancer.errors import InputError
from facedancer.train import assembly
from facedancer.train.config import TrainConfig
from facedancer.train.drivers import distribution
from tests import testing
from tests.train import test_step, tiny
from tests.train.program import SMALL

ROOT = pathlib.Path(__file__).parents[2]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class StrategyTest(testing.TestCase):
    def test_without_a_gpu(self):
        strategy = distribution.make_strategy("auto")
        self.assertEqual(strategy.num_replicas_in_sync, 1)
        self.assertTrue(distribution.is_chief(strategy))

    def test_named_devices(self):
        strategy = distribution.make_strategy("auto", ("CPU:0", "CPU:1"))
        self.assertEqual(strategy.num_replicas_in_sync, 2)
        with self.assertRaisesRegex(InputError, "--devices must be of CPU:0, CPU:1"):
            distribution.make_strategy("mirrored", ("GPU:7",))

    def make(self, text, kind="auto", devices=()):
        with mock.patch.dict(os.environ, {"TF_CONFIG": text}):
            return distribution.make_strategy(kind, devices)

    def test_a_device_twice(self):
        with self.assertRaisesRegex(
            InputError, "each once. Received: CPU:0, .device:CPU:0"
        ):
            distribution.make_strategy("mirrored", ("CPU:0", "/device:CPU:0"))

    @parameterized.parameters("", " ", "{}", '{"cluster": {}, "task": {}}')
    def test_no_workers(self, text):
        self.assertEqual(self.make(text).num_replicas_in_sync, 1)
        with self.assertRaisesRegex(InputError, "needs the environment variable"):
            self.make(text, "multi_worker")

    @parameterized.parameters(
        ("{", "TF_CONFIG is not a JSON object"),
        ("null", "TF_CONFIG is not a JSON object. Received: null"),
        ("[]", "TF_CONFIG is not a JSON object. Received: .."),
        ('{"cluster": "x"}', '`cluster` of TF_CONFIG must .* Received: "x"'),
        ('{"cluster": null}', "`cluster` of TF_CONFIG must .* Received: null"),
        ('{"cluster": {"worker": []}}', "of `worker`, one `chief` or both"),
        ('{"cluster": {"worker": "a:1"}}', "of `worker`, one `chief` or both"),
        ('{"cluster": {"worker": ["a"]}}', "addresses such as"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}}', "of `worker`, one `chief` or both"),
        ('{"cluster": {"ps": ["a:1"]}}', "of `worker`, one `chief` or both"),
        ('{"cluster": {"worker": ["a:1"]}}', "`task` of TF_CONFIG must"),
    )
    def test_bad_tf_config(self, text, message):
        with self.assertRaisesRegex(InputError, message):
            self.make(text)

    @parameterized.parameters(
        "null",
        "{}",
        '{"type": "worker"}',
        '{"type": "ps", "index": 0}',
        '["worker", 0]',
    )
    def test_bad_task(self, task):
        text = f'{{"cluster": {{"worker": ["a:1", "b:1"]}}, "task": {task}}}'
        with self.assertRaisesRegex(InputError, "one of .*'worker', 0.*'worker', 1"):
            self.make(text)

    @parameterized.parameters(
        ("optimisation", "max_minutes"), ("output", "save_minutes")
    )
    def test_clocks_of_several_processes(self, group, name):
        config = TrainConfig()
        config = dataclasses.replace(
            config,
            **{group: dataclasses.replace(getattr(config, group), **{name: 9.0})},
        )
        cluster = {"worker": ["a:1", "b:1"]}
        text = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
        with mock.patch.dict(os.environ, {"TF_CONFIG": text}):
            with self.assertRaisesRegex(InputError, "at different steps .*max_minutes"):
                assembly.make_driver(config)
            alone = dataclasses.replace(config.devices, strategy="one")
            made = assembly.make_driver(dataclasses.replace(config, devices=alone))
        self.assertEqual(made.replicas, 1)

    def test_task_that_is_not_in_the_cluster(self):
        for index in (2, -1, "x", True):
            task = {"type": "worker", "index": index}
            text = json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": task})
            with self.assertRaisesRegex(InputError, f"Received: .*{json.dumps(index)}"):
                self.make(text)

    def test_the_chief_counts_and_devices_are_not_listed_before(self):
        cluster = {"chief": ["a:1"], "worker": ["b:1"]}
        text = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
        with (
            mock.patch.object(tf.distribute, "MultiWorkerMirroredStrategy") as made,
            mock.patch.object(tf.config, "list_logical_devices") as listed,
        ):
            for kind in ("auto", "multi_worker"):
                self.assertIs(self.make(text, kind), made.return_value)
            listed.assert_not_called()
            with self.assertRaisesRegex(InputError, "--devices is for one machine"):
                self.make(text, devices=("GPU:0",))

    def test_batches_are_split_in_order(self):
        pattern = tiny.write_shards(self.tempdir())
        settings = pairs.PairSettings(
            pattern, batch_size=4, image_size=16, jitter="none", num_parallel_calls=1
        )
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        split = iter(
            distribution.batches(strategy, readers.READERS["pairs"], settings, 3)
        )
        whole = iter(readers.READERS["pairs"].dataset(settings, 3))
        for _ in range(2):
            parts = strategy.experimental_local_results(next(split)["target"])
            self.assertEqual([tuple(p.shape) for p in parts], [(2, 16, 16, 3)] * 2)
            expected = next(whole)["target"]
            self.assert_close(np.concatenate(parts), expected.numpy())

    def test_batch_that_cannot_be_divided(self):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        settings = pairs.PairSettings("nowhere", batch_size=5)
        with self.assertRaisesRegex(InputError, "multiple of the 2 replicas"):
            distribution.batches(strategy, readers.READERS["pairs"], settings, 0)


@pytest.mark.large
class TwoWorkersTest(testing.TestCase):
    def run_both(self, jobs, words):
        """Runs two processes to their end; `{index}` in a word is their number."""
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        cluster = {}
        for job, address in zip(jobs, addresses, strict=True):
            cluster.setdefault(job, []).append(address)
        workers = []
        for number, job in enumerate(jobs):
            index = number if job == jobs[0] else 0
            task = {"cluster": cluster, "task": {"type": job, "index": index}}
            workers.append(
                subprocess.Popen(
                    [sys.executable, *(word.format(index=number) for word in words)],
                    env={**os.environ, "TF_CONFIG": json.dumps(task)},
                    stderr=subprocess.PIPE,
                )
            )
        try:
            for worker in workers:
                _, errors = worker.communicate(timeout=280)
                self.assertEqual(worker.returncode, 0, errors[-3000:])
        finally:
            for worker in workers:  # a worker that waits for its peer ignores SIGTERM
                worker.kill()

    def test_two_workers_equal_one(self):
        folder = self.tempdir()
        worker = str(ROOT / "tests" / "train" / "worker.py")
        output = str(folder / "{index}.npz")
        self.run_both(("worker", "worker"), (worker, str(ROOT), output))
        whole = tiny.make_step(
            batch_size=8, sgd=True, recipe=test_step.DividedStepTest.recipe()
        )
        tiny.run(whole, [tiny.batch(8, seed) for seed in range(2)])
        first, second = (dict(np.load(folder / f"{k}.npz")) for k in range(2))
        for name, expected in whole.state.to_arrays().items():
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
            np.testing.assert_allclose(first[name], expected, 0, 1e-5, err_msg=name)

    def test_the_program_with_a_chief_and_a_worker(self):
        """One run of two replicas; the worker stays until the chief is done."""
        folder = self.tempdir()
        encoder = folder / "encoder.keras"
        tiny.small_mobilefacenet().save(encoder)
        words = (
            *SMALL,
            *("--a_lambda=0", "--c_lambda=0", "--p_lambda=0", "--steps=2"),
            f"--data_dir={tiny.write_shards(folder)}",
            f"--arcface_path={encoder}",
            f"--log_dir={folder}",
        )
        program = str(ROOT / "tests" / "train" / "slow_chief.py")
        ends = str(folder / "end_{index}")
        self.run_both(("chief", "worker"), (program, ends, *words))
        chief, worker = (float((folder / f"end_{k}").read_text()) for k in range(2))
        self.assertGreater(worker, chief - 1.0)
        run = folder / "facedancer"
        entries = (run / "metrics.jsonl").read_text().splitlines()
        self.assertLen(entries, 2)
        self.assertTrue((run / "curves.png").is_file())
        self.assertTrue((run / "checkpoints" / "step_00000002.npz").is_file())
