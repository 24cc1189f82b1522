"""Tests of what runs portable networks when several ask at once."""

from concurrent import futures

import numpy as np

from facedancer.inference import portable, runtimes


def test_threads_may_share_a_network():
    """Two stages of a clip ask the parser, each with few crops of its own size."""
    run = runtimes.run_by("openvino", portable.find("parser", ""), ("scores",))
    crops = np.random.default_rng(0).uniform(-1, 1, (4, 32, 96, 96, 3))
    crops = crops.astype(np.float32)
    with futures.ThreadPoolExecutor(len(crops)) as pool:
        found = list(pool.map(lambda image: run({"image": image})["scores"], crops))
    for image, scores in zip(crops, found, strict=True):
        np.testing.assert_allclose(scores, run({"image": image})["scores"], atol=1e-4)
