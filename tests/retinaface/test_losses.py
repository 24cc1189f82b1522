"""Tests of `facedancer.retinaface.training.losses`."""

import math

import keras
import numpy as np
import pytest

from facedancer.retinaface import anchors, network
from facedancer.retinaface.training import losses, matching
from tests import testing


class LossesTest(testing.TestCase):
    def test_smooth_l1_by_hand(self):
        values = losses.smooth_l1(np.float32([0, 0.5, -0.5, 1, -3]))
        self.assert_close(values, np.array([0, 0.125, 0.125, 0.5, 2.5]))
        values = losses.smooth_l1(np.float32([0, 0.25, -0.5, 1]), beta=0.5)
        self.assert_close(values, np.array([0, 0.0625, 0.25, 0.75]))

    def test_hard_negatives_by_hand(self):
        labels = np.array([[1, 0, 0, 0, 0, -1], [0, 0, 0, 0, 0, 0]])
        wrong = np.float32([[9, 1, 4, 3, 2, 8], [1, 2, 3, 4, 5, 6]])
        hard = np.asarray(losses.hard_negatives(wrong, labels, ratio=2, min_count=0))
        self.assertEqual(hard.astype(int).tolist(), [[0, 0, 1, 1, 0, 0], [0] * 6])
        hard = np.asarray(losses.hard_negatives(wrong, labels, ratio=2, min_count=3))
        self.assertEqual(hard[0].astype(int).tolist(), [0, 0, 1, 1, 1, 0])
        self.assertEqual(hard[1].astype(int).tolist(), [0, 0, 0, 1, 1, 1])

    def test_more_wanted_than_there_are(self):
        labels = np.array([[1, 1, 0, -1]])
        hard = losses.hard_negatives(np.ones((1, 4), "float32"), labels)
        self.assertEqual(np.asarray(hard).astype(int).tolist(), [[0, 0, 1, 0]])

    def test_class_loss_by_hand(self):
        labels = np.array([[1, 0, 0, -1]])
        # probability of a face: 1/2, 1/2, about 0, ignored
        logits = np.float32([[[0, 0], [3, 3], [50, 0], [0, 50]]])
        value = losses.class_loss(labels, logits, ratio=1, min_count=0)
        self.assert_close(value, np.array([2 * math.log(2)]))
        value = losses.class_loss(labels, logits, ratio=0, min_count=0)
        self.assert_close(value, np.array([math.log(2)]))

    def test_a_face_and_its_background_are_not_confused(self):
        logits = np.float32([[[0, 20]]])
        self.assertLess(float(losses.class_loss(np.array([[1]]), logits)[0]), 1e-6)
        self.assertGreater(float(losses.class_loss(np.array([[0]]), logits)[0]), 19)

    def test_box_loss_by_hand(self):
        labels = np.array([[1, 0], [1, 1]])
        wanted = np.zeros((2, 2, 4), "float32")
        given = np.float32([[[2, 0, 0, 0], [9, 9, 9, 9]], [[0, 0, 0, 0], [0, 1, 0, 0]]])
        # sums 1.5 and 0.5; three faces in two images: divided by 1.5
        value = losses.box_loss(labels, wanted, given)
        self.assert_close(value, np.array([1.0, 1 / 3]))

    def test_landmark_loss_counts_labelled_faces_only(self):
        wanted = np.zeros((1, 3, 10), "float32")
        given = np.ones((1, 3, 10), "float32")
        value = losses.landmark_loss(np.array([[1, 0, 0]]), wanted, given)
        self.assert_close(value, np.array([9.5]))  # each of ten: 1 - 0.1 / 2
        value = losses.landmark_loss(np.array([[1, 0, 0]]), wanted, given, beta=1.0)
        self.assert_close(value, np.array([5.0]))
        value = losses.landmark_loss(np.array([[0, 0, 0]]), wanted, given)
        self.assert_close(value, np.array([0.0]))

    def test_total_and_gradients(self):
        targets = {
            "labels": np.array([[1, 0, -1]]),
            "boxes": np.zeros((1, 3, 4), "float32"),
            "landmarks": np.zeros((1, 3, 10), "float32"),
            "has_landmarks": np.float32([[1, 0, 0]]),
        }
        outputs = {
            "classes": np.float32([[[0, 0], [0, 0], [0, 0]]]),
            "boxes": np.ones((1, 3, 4), "float32"),
            "landmarks": np.ones((1, 3, 10), "float32"),
        }
        found = losses.detection_losses(targets, outputs, ratio=1, min_count=0)
        expected = {
            "classes": np.array([2 * math.log(2)]),
            "boxes": np.array([2.0]),
            "landmarks": np.array([9.5]),
            "total": np.array([2 * math.log(2) + 2 * 2.0 + 9.5]),
        }
        self.assert_close(found, expected)

    @pytest.mark.large
    def test_a_small_network_learns_one_face(self):
        """Anchors, targets, network and losses together find what they were shown."""
        random = np.random.default_rng(0)
        image = random.uniform(0, 60, (1, 32, 64, 3)).astype("float32")
        image[0, 8:28, 34:50] = 220.0
        made = anchors.make_anchors(32, 64)
        points = np.float32([[38, 14], [46, 14], [42, 19], [39, 24], [45, 24]])
        found = matching.match([[34, 8, 50, 28]], points[None], made)
        targets = {name: value[None] for name, value in vars(found).items()}

        model = network.build_retinaface(width=4, channels=16)
        step = Trained(model, targets)
        step.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False)
        history = step.fit(image, image, epochs=40, verbose=0).history["loss"]
        self.assertLess(history[-1], 0.2 * history[0])
        logits = model(image, training=True)["classes"][0]
        best = int(np.argmax(logits[:, 1] - logits[:, 0]))
        self.assertEqual(targets["labels"][0, best], 1)


class Trained(keras.Model):
    """Adds the total loss against fixed targets."""

    def __init__(self, model, targets):
        super().__init__()
        self.model, self.targets = model, targets

    def call(self, image, training=False):
        outputs = self.model(image, training=training)
        total = losses.detection_losses(self.targets, outputs)["total"]
        self.add_loss(keras.ops.mean(total))
        return outputs["boxes"]
