"""Two worker processes equal one; the data reach the replicas in order."""

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

from facedancer import testing
from facedancer.dataset import pairs
from facedancer.errors import InputError
from facedancer.train import running
from tests.train import test_step, tiny

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
        strategy = running.make_strategy("auto")
        self.assertEqual(strategy.num_replicas_in_sync, 1)
        self.assertTrue(running.is_chief(strategy))

    def test_named_devices(self):
        strategy = running.make_strategy("auto", ("CPU:0", "CPU:1"))
        self.assertEqual(strategy.num_replicas_in_sync, 2)
        with self.assertRaisesRegex(InputError, "--devices must be of CPU:0, CPU:1"):
            running.make_strategy("mirrored", ("GPU:7",))

    def test_workers_need_tf_config(self):
        with mock.patch.dict(os.environ, {"TF_CONFIG": ""}, clear=False):
            os.environ.pop("TF_CONFIG")
            with self.assertRaisesRegex(InputError, "needs the environment variable"):
                running.make_strategy("multi_worker")
        with mock.patch.dict(os.environ, {"TF_CONFIG": "{"}):
            with self.assertRaisesRegex(InputError, "TF_CONFIG is not a JSON object"):
                running.make_strategy("auto")

    def test_batches_are_split_in_order(self):
        pattern = tiny.write_shards(self.tempdir())
        settings = pairs.PairSettings(
            pattern, batch_size=4, image_size=16, jitter="none", num_parallel_calls=1
        )
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        split = iter(running.batches(strategy, settings, 3))
        whole = iter(running.batches(tf.distribute.get_strategy(), settings, 3))
        for _ in range(2):
            parts = strategy.experimental_local_results(next(split)["target"])
            self.assertEqual([tuple(p.shape) for p in parts], [(2, 16, 16, 3)] * 2)
            expected = next(whole)["target"]
            self.assert_close(np.concatenate(parts), expected.numpy())

    def test_batch_that_cannot_be_divided(self):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        settings = pairs.PairSettings("nowhere", batch_size=5)
        with self.assertRaisesRegex(InputError, "multiple of the 2 replicas"):
            running.batches(strategy, settings, 0)


@pytest.mark.large
class TwoWorkersTest(testing.TestCase):
    def test_two_workers_equal_one(self):
        folder = self.tempdir()
        ports = free_ports(2)
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        workers = []
        for index in range(2):
            task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
            workers.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        str(ROOT / "tests" / "train" / "worker.py"),
                        str(ROOT),
                        str(folder / f"{index}.npz"),
                    ],
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
        whole = tiny.make_step(
            batch_size=8, sgd=True, objective=test_step.DividedStepTest.objective()
        )
        tiny.run(whole, [tiny.batch(8, seed) for seed in range(2)])
        first, second = (dict(np.load(folder / f"{k}.npz")) for k in range(2))
        for name, expected in whole.state.to_arrays().items():
            np.testing.assert_array_equal(first[name], second[name], err_msg=name)
            np.testing.assert_allclose(first[name], expected, 0, 1e-5, err_msg=name)
