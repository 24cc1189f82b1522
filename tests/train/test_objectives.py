"""Recipes: the published numbers, schedules, and what is refused."""

import dataclasses

from absl.testing import parameterized

from facedancer import testing
from facedancer.train.objective import recipes


class ObjectiveTest(testing.TestCase):
    def test_published_numbers(self):
        published = recipes.get_objective("published")
        weights = (10.0, 5.0, 0.2, 1.0, 1.0, 1.0, 1.2, 10.0)
        names = (
            "identity",
            "reconstruction",
            "perceptual",
            "cycle",
            "ifsr",
            "adversarial",
            "ifsr_scale",
            "r1_gamma",
        )
        self.assertEqual(tuple(getattr(published, n) for n in names), weights)
        self.assertEqual((published.g_beta_1, published.beta_2), (0.0, 0.99))
        self.assertEqual((published.lr, published.same_ratio), (1e-4, 0.2))
        self.assertEqual((published.kind, published.r1_every), ("nonsaturating", 1))
        self.assertEqual(published.real_images, "source")
        off = (
            "contrast",
            "low_frequency",
            "chroma",
            "outside",
            "ema",
            "clip_norm",
            "look",
        )
        self.assertEqual(published.warmup_steps, 0)
        self.assertFalse(any(getattr(published, name) for name in off))

    @parameterized.parameters(
        ("constant", 0, 1.0),
        ("constant", 900, 1.0),
        ("exponential", 0, 1.0),
        ("exponential", 1000, 0.97**0.01),
        ("cosine", 0, 1.0),
        ("cosine", 500, 0.55),
        ("cosine", 1000, 0.1),
        ("thirds", 300, 1.0),
        ("thirds", 400, 1 / 3),
        ("thirds", 900, 1 / 6),
    )
    def test_schedules_by_hand(self, schedule, step, factor):
        objective = recipes.Objective(lr=2.0, schedule=schedule)
        self.assertAlmostEqual(objective.learning_rate(step, 1000), 2.0 * factor)

    @parameterized.parameters(
        ("kind", "wgan", "`kind` must be one of"),
        ("real_images", "both", "`real_images` must be one of"),
        ("schedule", "linear", "`schedule` must be one of"),
        ("jitter", "strong", "`jitter` must be one of"),
        ("identity", -1.0, "`identity` must not be negative. Received: identity=-1.0"),
        ("identity", float("nan"), "must not be negative"),
        ("r1_every", 0, "`r1_every` must be at least 1"),
        ("cycle_every", 0, "`cycle_every` must be at least 1"),
        ("ema", 1.0, r"`ema` must lie in \[0, 1\)"),
        ("same_ratio", 1.5, "must be shares of a batch"),
        ("lr", 0.0, "`lr` must be positive"),
    )
    def test_refused(self, name, value, words):
        with self.assertRaisesRegex(ValueError, words):
            dataclasses.replace(recipes.Objective(), **{name: value})

    def test_unknown_recipe(self):
        with self.assertRaisesRegex(ValueError, "Unknown recipe 'best'. Known: "):
            recipes.get_objective("best")
