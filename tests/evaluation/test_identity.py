"""Tests of identity: retrieval with right denominators, match curve, verification."""

import numpy as np
from absl.testing import parameterized

from facedancer.evaluation.metrics import identity
from tests import testing

# Angles in the plane, so that every cosine can be read off.
ANGLES = {0: "a", 20: "a", 90: "b", 100: "b", 200: "c"}


def unit(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype("float32")


class RetrievalTest(testing.TestCase):
    def setUp(self):
        super().setUp()
        self.gallery, self.labels = unit(*ANGLES), list(ANGLES.values())

    def test_swapped_equal_to_its_source_is_a_hit(self):
        ranks = identity.retrieval_ranks(
            self.gallery, self.labels, self.gallery, self.labels
        )
        np.testing.assert_array_equal(ranks, 0)

    @parameterized.parameters(
        # query, label, wrong photos before, wrong people before
        (10, "a", 0, 0),
        (10, "b", 2, 1),  # both photos of a come first
        (10, "c", 4, 2),
        (95, "a", 2, 1),
        (190, "b", 1, 1),
    )
    def test_ranks(self, query, label, photos, people):
        args = (unit(query), [label], self.gallery, self.labels)
        self.assertEqual(identity.retrieval_ranks(*args).tolist(), [photos])
        self.assertEqual(identity.identity_ranks(*args).tolist(), [people])

    def test_query_scale_does_not_matter(self):
        ranks = identity.retrieval_ranks(
            7.0 * unit(10, 95), ["b", "a"], 3.0 * self.gallery, self.labels
        )
        self.assertEqual(ranks.tolist(), [2, 2])

    def test_tie_is_no_hit(self):
        gallery = unit(30, 30)
        for rank in (identity.retrieval_ranks, identity.identity_ranks):
            self.assertEqual(rank(unit(30), ["a"], gallery, ["a", "b"]).tolist(), [1])

    def test_label_that_the_gallery_lacks(self):
        args = (unit(0), ["z"], self.gallery, self.labels)
        self.assertEqual(identity.retrieval_ranks(*args).tolist(), [5])
        self.assertEqual(identity.identity_ranks(*args).tolist(), [3])

    def test_centres(self):
        vectors = np.concatenate([5.0 * unit(0), unit(60), unit(90)])
        means, names = identity.centres(vectors, ["b", "b", "a"])
        self.assertEqual(names.tolist(), ["a", "b"])
        # Unit vectors count alike: the mean of 0 and 60 degrees is 30.
        self.assert_close(means, unit(90, 30), atol=1e-6)

    def test_match_curve(self):
        curve = identity.match_curve([0, 0, 1, 3], size=3)
        self.assert_close(curve, np.array([0.5, 0.75, 0.75]))


class VerificationTest(testing.TestCase):
    def test_own_and_other_scores(self):
        swapped, sources = unit(0, 90, 180), unit(10, 90, 170)
        own, others = identity.verification_scores(swapped, sources, ["a", "b", "a"])
        self.assert_close(own, np.cos(np.radians([10, 0, 10])), atol=1e-6)
        # The person "a" has two sources: neither counts as another one of the other.
        self.assertEqual(np.isfinite(others).sum(axis=1).tolist(), [1, 2, 1])
        self.assert_close(others[0, 0], np.cos(np.radians(90)), atol=1e-6)

    def test_area_under_curve_is_the_share_of_ordered_pairs(self):
        random = np.random.default_rng(0)
        own, others = random.normal(0.5, 1, 40), random.normal(0, 1, (30, 2))
        expected = (own[:, None] > others.ravel()[None]).mean()
        with_nan = np.append(others.ravel(), np.nan)
        self.assert_close(identity.area_under_curve(own, with_nan), expected)

    def test_accepted_at(self):
        others = np.arange(1000) / 1000.0  # the 99 % quantile is 0.98901
        own = np.array([0.5, 0.9891, 0.98, 0.9999])
        self.assertEqual(identity.accepted_at(own, others, rate=0.01), 0.5)
