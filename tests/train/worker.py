"""One worker of a distributed training; started by test_distribution.py."""

import os
import sys

import numpy as np
import tensorflow as tf

sys.path.insert(0, os.fspath(sys.argv[1]))

from facedancer.train.drivers import distribution, tensorflow_driver
from tests.train import test_step, tiny  # noqa: E402


def main(output):
    strategy = distribution.make_strategy("auto")
    train_step = tiny.make_step(
        batch_size=8,
        sgd=True,
        recipe=test_step.DividedStepTest.recipe(),
        driver=tensorflow_driver.TensorFlowDriver(strategy),
    )
    assert train_step.driver.replicas == 2

    def share(context):
        first = context.input_pipeline_id * 4
        batches = [tiny.batch(8, seed) for seed in range(2)]
        rows = {
            k: tf.concat([one[k][first : first + 4] for one in batches], 0)
            for k in batches[0]
        }
        return tf.data.Dataset.from_tensor_slices(rows).batch(4)

    for batch in strategy.distribute_datasets_from_function(share):
        train_step(batch)
    np.savez(output, **train_step.state.to_arrays())


if __name__ == "__main__":
    main(sys.argv[2])
