"""One check that any network of the project passes: files, runtimes, forms."""

import keras
import numpy as np

from facedancer.models import exports, saving
from facedancer.models.architectures import fuse, of


def randomise(network, seed=4):
    """Moves every weight, so that none can be forgotten; returns the network."""
    rng = np.random.default_rng(seed)
    network.set_weights(
        [w + 0.1 * rng.normal(size=w.shape) for w in network.get_weights()]
    )
    return network


def settle(network, feeds):
    """Sets the averages of batch norms to what these inputs make of the maps."""
    norms = [one for one in network._flatten_layers() if hasattr(one, "momentum")]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    if norms:
        given = [feeds[name] for name in network.feed_names]
        network(given if len(given) > 1 else given[0], training=True)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def check_network(network, folder, endings=(".keras", ".h5"), half="mixed_bfloat16"):
    """Runs a network through what every network must stand.

    Args:
        network: Of a family of `architectures`.
        folder: Where files may be written.
        endings: Of the files it is exported to, compared with Keras each.
        half: A policy of half precision, None for none.
    """
    randomise(network)
    feeds = network.example_inputs(batch=2, seed=3)
    settle(network, feeds)
    expected = network.named(feeds)
    scale = max(float(np.abs(np.asarray(v)).max()) for v in expected.values())
    assert set(feeds) == set(network.feed_names)
    for ending in endings:
        assert exports.export(network, folder / f"network{ending}") < 2e-5 * scale
    again = type(network).from_config(network.get_config())
    again.set_weights(network.get_weights())
    assert saving.difference(expected, again.named(feeds)) == 0.0
    cost = network.cost()
    learned = sum(np.prod(w.shape, dtype=int) for w in network.trainable_weights)
    assert cost.parameters == learned and cost.macs > 0
    assert f"{cost.parameters:,} parameters" in network.describe()
    if half:
        rough = network.variant(dtype=half)
        found = rough.named(feeds)
        error = saving.difference(expected, found)
        assert 0.0 < error < 0.2 * scale
        for value in found.values():
            assert keras.backend.standardize_dtype(value.dtype) == "float32"
    if not hasattr(network, "contract"):
        return
    assert network.contract.inputs == network.feed_names
    assert set(network.contract.outputs) <= set(network.result_names)
    fused = fuse(network)
    assert of(fused) is of(network)
    assert saving.difference(expected, fused.named(feeds)) < 1e-5 * scale
