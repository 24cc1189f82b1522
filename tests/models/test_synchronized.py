"""The batch norm of all replicas, against NumPy, on one and on two of them."""

import keras
import numpy as np
import tensorflow as tf

from facedancer.models.layers.synchronized import (
    SynchronizedBatchNorm,
    means_over_replicas,
)
from tests import testing
from tests.train import tiny

EPSILON, MOMENTUM = 1e-5, 0.9


def maps():
    draws = np.random.default_rng(3)
    return draws.normal(2.0, 3.0, (4, 3, 5, 2)).astype("float32")


def layer():
    made = SynchronizedBatchNorm(momentum=MOMENTUM, epsilon=EPSILON)
    made.build((None, 3, 5, 2))
    made.gamma.assign([0.5, 2.0])
    made.beta.assign([1.0, -1.0])
    return made


def normalised(x):
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    unit = (x - mean) / np.sqrt(variance + EPSILON)
    return unit * [0.5, 2.0] + [1.0, -1.0], mean, variance


class OneReplicaTest(testing.TestCase):
    def test_training(self):
        made = layer()
        found = made(maps(), training=True)
        expected, mean, variance = normalised(maps())
        self.assert_close(found, expected, atol=1e-5)
        self.assert_close(made.moving_mean, 0.1 * mean, atol=1e-5)
        self.assert_close(made.moving_variance, 0.9 + 0.1 * variance, atol=1e-5)

    def test_inference_is_by_the_averages(self):
        made = layer()
        expected = maps() / np.sqrt(1.0 + EPSILON) * [0.5, 2.0] + [1.0, -1.0]
        self.assert_close(made(maps()), expected, atol=1e-5)
        self.assert_close(made.moving_mean, np.zeros(2), atol=0)

    def test_frozen(self):
        made = layer()
        made.trainable = False
        self.assert_close(made(maps(), training=True), made(maps()), atol=0)

    def test_without_weights_and_through_a_file(self):
        image = keras.Input((3, 5, 2))
        plain = SynchronizedBatchNorm(center=False, scale=False, momentum=0.5)
        model = keras.Model(image, plain(image))
        model(maps(), training=True)
        path = self.tempdir() / "norm.keras"
        model.save(path)
        again = keras.saving.load_model(path)
        self.assertEqual(again.layers[1].momentum, 0.5)
        self.assert_close(again(maps()), model(maps()), atol=1e-6)


class TwoReplicasTest(testing.TestCase):
    """Half of the rows each: results, averages and gradients are those of all."""

    def setUp(self):
        self.strategy = tiny.two_replicas().strategy

    def halves(self, x):
        def part(context):
            first = context.replica_id_in_sync_group * 2
            return tf.constant(x[first : first + 2])

        return self.strategy.experimental_distribute_values_from_function(part)

    def run_on_both(self, mean):
        """Gradients of a sum of weighted results, and the averages after it."""
        with self.strategy.scope():
            made = layer()
        weights = np.random.default_rng(5).normal(size=(4, 3, 5, 2)).astype("float32")

        def one(x, weight):
            with means_over_replicas(mean), tf.GradientTape() as tape:
                tape.watch(x)
                total = tf.reduce_sum(weight * made(x, training=True))
            return tape.gradient(total, x)

        found = tf.function(lambda *given: self.strategy.run(one, given))(
            self.halves(maps()), self.halves(weights)
        )
        both = self.strategy.experimental_local_results(found)
        return np.concatenate([np.asarray(part) for part in both]), made, weights

    def test_equal_one(self):
        def mean(value):
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)

        found, made, weights = self.run_on_both(mean)
        alone = layer()
        with tf.GradientTape() as tape:
            x = tf.constant(maps())
            tape.watch(x)
            total = tf.reduce_sum(weights * alone(x, training=True))
        self.assert_close(found, tape.gradient(total, x), atol=1e-5)
        self.assert_close(made.moving_mean, alone.moving_mean, atol=1e-6)
        self.assert_close(made.moving_variance, alone.moving_variance, atol=1e-5)

    def test_each_by_itself_differs(self):
        """Else the test above would prove nothing."""
        found = self.run_on_both(None)[0]
        whole = self.run_on_both(lambda value: value)[0]
        self.assert_close(found, whole, atol=0)
        apart = [normalised(maps()[rows])[1] for rows in (slice(2), slice(2, 4))]
        self.assertGreater(np.abs(apart[0] - apart[1]).max(), 0.1)
