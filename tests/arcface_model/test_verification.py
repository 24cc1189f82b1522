"""Tests of `facedancer.arcface_model.verification`."""

import numpy as np

from facedancer.arcface_model import verification
from tests import testing


class VerificationTest(testing.TestCase):
    def test_pairs_are_balanced_and_true(self):
        labels = ["a", "a", "a", "b", "b", "c"]
        pairs, same = verification.balanced_pairs(labels, 8, seed=0)
        self.assertEqual(pairs.shape, (8, 2))
        self.assertEqual(same.sum(), 4)  # all of them: aa, aa, aa, bb
        for (i, j), kind in zip(pairs, same, strict=True):
            self.assertEqual(labels[i] == labels[j], kind)
            self.assertNotEqual(i, j)
        self.assertLen({tuple(pair) for pair in pairs.tolist()}, 8)
        again, _ = verification.balanced_pairs(labels, 8, seed=0)
        np.testing.assert_array_equal(pairs, again)

    def test_fewer_pairs_of_two_people_than_of_one(self):
        pairs, same = verification.balanced_pairs(["a"] * 6 + ["b"], 20, seed=0)
        self.assertEqual((len(pairs), same.sum()), (12, 6))  # 15 of one, 6 of two
        self.assertEqual({tuple(p) for p in pairs[~same]}, {(i, 6) for i in range(6)})

    def test_pairs_need_somebody_twice(self):
        with self.assertRaisesRegex(ValueError, "a person with two photos"):
            verification.balanced_pairs(["a", "b"], 2, seed=0)

    def test_auc_by_hand(self):
        # 3 positives, 2 negatives: wins 2 + 2 + 0.5 of 6
        auc = verification.roc_auc([0.9, 0.8, 0.1, 0.1, 0.0], [1, 1, 1, 0, 0])
        self.assertAlmostEqual(auc, 5.5 / 6)

    def test_threshold_by_hand(self):
        threshold = verification.best_threshold([0.1, 0.6, 0.4, 0.9], [0, 1, 0, 1])
        self.assertAlmostEqual(threshold, 0.5)

    def test_perfect_and_useless_encoders(self):
        random = np.random.default_rng(0)
        labels = np.repeat(np.arange(100), 3)
        centres = random.normal(size=(100, 64))
        pairs, same = verification.balanced_pairs(labels, 400, seed=1)
        good = verification.verify(
            centres[labels] + 0.1 * random.normal(size=(300, 64)), pairs, same
        )
        self.assertEqual((good.accuracy, good.auc, good.pairs), (1.0, 1.0, 400))
        self.assertEqual(good.tar_at_far_1e3, 1.0)
        self.assertGreater(good.same, 0.9)
        useless = verification.verify(random.normal(size=(300, 64)), pairs, same)
        self.assertBetween(useless.auc, 0.4, 0.6)
        self.assertBetween(useless.accuracy, 0.4, 0.6)
