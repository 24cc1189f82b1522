"""Batches read ahead, and the legacy jitter without TensorFlow."""

import threading
import time

import numpy as np
import tensorflow as tf

from facedancer.dataset.augmentation import colour
from facedancer.dataset.reading import readers
from facedancer.errors import InputError
from tests import testing


class Slow:
    """A reader whose even batches take longer; it notes what was asked for."""

    def __init__(self, damaged=None):
        self.asked, self.damaged = [], damaged
        self._lock = threading.Lock()

    def arrays(self, number):
        with self._lock:
            self.asked.append(number)
        if number == self.damaged:
            raise InputError("a.records: record 3 is damaged")
        time.sleep(0.02 * (number % 2 == 0))
        return {"number": np.array(number)}


class AheadTest(testing.TestCase):
    def test_in_order_from_the_first(self):
        reader = Slow()
        supply = readers.ahead(reader, 5, threads=3)
        self.assertEqual(
            [int(next(supply)["number"]) for _ in range(6)], [*range(5, 11)]
        )
        supply.close()
        # No more than three ahead, each once.
        self.assertEqual(sorted(reader.asked), [*range(5, 5 + len(reader.asked))])
        self.assertLessEqual(len(reader.asked), 6 + 3)

    def test_a_damaged_record_comes_out_at_its_batch(self):
        supply = readers.ahead(Slow(damaged=2), 0, threads=4)
        self.assertEqual([int(next(supply)["number"]) for _ in range(2)], [0, 1])
        with self.assertRaisesRegex(InputError, "record 3 is damaged"):
            next(supply)


class LegacyJitterTest(testing.TestCase):
    def test_by_hand(self):
        """One pixel: contrast keeps the mean, which is the pixel."""
        image = np.array([[[[0.5, 0.25, 0.125]]]], "f4")
        middle = np.full(3, 0.5)  # brightness 0, contrast and saturation 1
        self.assert_close(colour.jitter_legacy_array(image, middle), image)
        brighter = np.array([1.0, 0.5, 0.5])
        self.assert_close(colour.jitter_legacy_array(image, brighter), image + 0.3)
        # Saturation 0.375 / 0.5 becomes 0.825; the middle channel is at two thirds.
        vivid = colour.jitter_legacy_array(image, np.array([0.5, 0.5, 1.0]))
        self.assert_close(vivid[0, 0, 0], np.array([0.5, 0.225, 0.0875], "f4"))

    def test_against_tensorflow(self):
        """Its own functions with the same three numbers, in the range beyond [0, 1]."""
        image = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5, 3)).astype("f4")
        draws = np.array([0.9, 0.1, 0.8])
        brightness, contrast, saturation = -0.3 + 0.6 * 0.9, 0.9 + 0.02, 0.9 + 0.16
        expected = tf.image.adjust_brightness(image, brightness)
        expected = tf.image.adjust_contrast(expected, contrast)
        expected = tf.image.adjust_saturation(expected, saturation).numpy()
        found = colour.jitter_legacy_array(image, draws)
        self.assert_close(found, expected, atol=2e-5)
