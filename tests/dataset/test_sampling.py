"""Tests of which photos make a batch."""

import collections

import numpy as np
from absl.testing import parameterized

from facedancer.dataset.reading import sampling
from facedancer.errors import InputError
from tests import testing

# Ten people: person p has p + 1 photos; folder 0 holds people 0 to 6.
IDENTITY = np.repeat(np.arange(10), np.arange(1, 11))
FOLDER = (IDENTITY > 6).astype(int)


def make(batch_size=8, identity=IDENTITY, **options):
    return sampling.PairSampler(identity, FOLDER, batch_size, **options)


def joined(sampler, count):
    batches = [sampler.batch(k) for k in range(count)]
    return sampling.Pairs(
        *(
            np.concatenate([getattr(b, name) for b in batches])
            for name in ("target", "source", "same")
        )
    )


class PairSamplerTest(testing.TestCase):
    def test_every_photo_is_a_target_once_an_epoch(self):
        target = joined(make(batch_size=10), 11).target  # 110 = 2 epochs of 55
        for epoch in (target[:55], target[55:]):
            np.testing.assert_array_equal(np.sort(epoch), np.arange(55))
        self.assertFalse(np.array_equal(target[:55], target[55:]))

    def test_sources_have_another_order(self):
        pairs = joined(make(batch_size=11, same_ratio=0.0), 5)
        np.testing.assert_array_equal(np.sort(pairs.source), np.arange(55))
        self.assertLess((pairs.source == pairs.target).mean(), 0.1)
        self.assertFalse(pairs.same.any())

    @parameterized.parameters((20, 3), (55, 1), (7, 8), (1000, 1))
    def test_sources_come_from_the_window_of_their_target(self, window, count):
        sampler = make(batch_size=11, same_ratio=0.0, window=window)
        pairs = joined(sampler, 10)
        for epoch in (slice(0, 55), slice(55, 110)):
            target, source = pairs.target[epoch], pairs.source[epoch]
            np.testing.assert_array_equal(np.sort(source), np.arange(55))
            self.assertTrue((source != target).all())
            place = np.empty(55, int)
            place[target] = np.arange(55)
            number = np.arange(55) * count // 55  # windows of nearly the same size
            np.testing.assert_array_equal(number[place[source]], number)

    def test_window_of_all_photos(self):
        """The two orders are independent: sources come from far away, too."""
        pairs = joined(make(batch_size=11, same_ratio=0.0, window=0), 5)
        place = np.empty(55, int)
        place[pairs.target] = np.arange(55)
        distance = np.abs(place[pairs.source] - np.arange(55))
        self.assertGreater(distance.mean(), 10)

    def test_without_shuffling(self):
        batch = make(batch_size=4, shuffle=False, same_ratio=0.0).batch(3)
        np.testing.assert_array_equal(batch.target, [12, 13, 14, 15])
        np.testing.assert_array_equal(batch.source, [12, 13, 14, 15])

    def test_a_batch_depends_on_seed_and_number_only(self):
        one, two = make(seed=3), make(seed=3)
        for number in (7, 0, 7, 1000):
            a, b = one.batch(number), two.batch(number)
            np.testing.assert_array_equal(a.target, b.target)
            np.testing.assert_array_equal(a.source, b.source)
            np.testing.assert_array_equal(a.same, b.same)
        other = make(seed=4).batch(7)
        self.assertFalse(np.array_equal(other.target, one.batch(7).target))

    def test_same_pairs(self):
        pairs = joined(make(batch_size=10, same_ratio=0.2), 3000)
        np.testing.assert_array_equal(
            pairs.target[pairs.same], pairs.source[pairs.same]
        )
        # p + (1 - p)^10 / 10 = 0.2107: one is forced where none was drawn
        self.assertAlmostEqual(pairs.same.mean(), 0.2107, delta=0.01)
        self.assertTrue(pairs.same.reshape(-1, 10).any(axis=1).all())
        forced = joined(make(batch_size=10, same_ratio=1e-9), 500).same.reshape(-1, 10)
        np.testing.assert_array_equal(forced.sum(axis=1), 1)
        self.assertEqual(forced.any(axis=0).sum(), 10)  # at any place

    def test_different_people(self):
        pairs = joined(make(pairing="different"), 300)
        other = ~pairs.same
        self.assertTrue(
            (IDENTITY[pairs.source[other]] != IDENTITY[pairs.target[other]]).all()
        )

    def test_different_people_where_nearly_all_are_one(self):
        identity = np.zeros(55, int)
        identity[-1] = 1
        sampler = make(identity=identity, pairing="different", same_ratio=0.0)
        pairs = joined(sampler, 20)
        self.assertTrue((identity[pairs.source] != identity[pairs.target]).all())

    @parameterized.parameters("none", "identity", "folder")
    def test_same_person(self, balance):
        sampler = make(pairing="same_person", same_ratio=0.0, balance=balance)
        pairs = joined(sampler, 300)
        self.assertTrue((pairs.source != pairs.target).all())
        np.testing.assert_array_equal(IDENTITY[pairs.source], IDENTITY[pairs.target])
        self.assertNotIn(0, IDENTITY[pairs.target])  # person 0 has one photo
        # all other photos of the person are drawn alike
        of_two = pairs.target == 3
        counts = collections.Counter(pairs.source[of_two].tolist())
        self.assertEqual(set(counts), {4, 5})

    def test_sources_from_the_batch(self):
        sampler = make(batch_size=9, pairing="batch", same_ratio=0.0)
        seen = set()
        for number in range(12):
            batch = sampler.batch(number)
            np.testing.assert_array_equal(np.sort(batch.source), np.sort(batch.target))
            if number < 6:  # later batches may hold a photo of two epochs twice
                self.assertTrue((batch.source != batch.target).all())
            seen.add(tuple(batch.source.argsort()))
        self.assertGreater(len(seen), 6)

    def test_share_of_same_person_pairs(self):
        pairs = joined(make(same_person_ratio=0.5, same_ratio=0.0), 600)
        kin = IDENTITY[pairs.source] == IDENTITY[pairs.target]
        # half of all, and by chance one in eight of the other half
        chance = ((np.arange(1, 11) / 55) ** 2).sum()
        single = 1 / 55  # person 0 has no other photo
        expected = 0.5 * (1 - single) + (0.5 + 0.5 * single) * chance
        self.assertAlmostEqual(kin.mean(), expected, delta=0.02)

    @parameterized.parameters(("identity", IDENTITY, 10), ("folder", FOLDER, 2))
    def test_balance(self, balance, labels, count):
        pairs = joined(make(balance=balance, same_ratio=0.0), 1000)
        for photos in (pairs.target, pairs.source):
            shares = np.bincount(labels[photos]) / len(photos)
            np.testing.assert_allclose(shares, 1 / count, atol=0.02)

    def test_parts_of_a_batch(self):
        batch = make(batch_size=8).batch(5)
        np.testing.assert_array_equal(batch.rows(2, 6).target, batch.target[2:6])

    def test_length(self):
        self.assertLen(make(), 55)
        self.assertEqual(make(batch_size=10).batches_per_epoch, 6)
        self.assertLen(make(pairing="same_person"), 54)

    @parameterized.parameters(
        ({"pairing": "different"}, "pairing=different needs identity labels"),
        ({"pairing": "same_person"}, "same-person pairs needs identity labels"),
        ({"balance": "identity"}, "balance=identity needs identity labels"),
    )
    def test_unknown_people(self, options, words):
        with self.assertRaisesRegex(InputError, words):
            make(identity=np.full(55, -1), **options)

    def test_too_few_people_or_photos(self):
        with self.assertRaisesRegex(InputError, "at least two people"):
            make(identity=np.zeros(55, int), pairing="different")
        with self.assertRaisesRegex(InputError, "a person with two photos"):
            make(identity=np.arange(55), pairing="same_person")

    @parameterized.parameters(
        ({"batch_size": 0}, "batch_size"),
        ({"same_ratio": 1.1}, "Received: same_ratio=1.1"),
        ({"same_person_ratio": -0.1}, "same_person_ratio"),
        ({"pairing": "any"}, "pairing. must be one of"),
        ({"balance": "some"}, "Received: 'some'"),
    )
    def test_bad_arguments(self, options, words):
        with self.assertRaisesRegex(ValueError, words):
            make(**options)
