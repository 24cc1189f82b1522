"""Recipes: the published numbers, schedules, and what is refused."""

from absl.testing import parameterized

from facedancer.train.objective.recipes import Recipe, Stage
from facedancer.train.systems.facedancer import FaceDancer
from facedancer.train.systems.facedancer_recipes import (
    FINE_TUNED,
    IMPROVED,
    PUBLISHED,
)
from tests import testing


class RecipeTest(testing.TestCase):
    def test_published_numbers(self):
        wanted = {
            "identity": 10.0,
            "reconstruction": 5.0,
            "perceptual": 0.2,
            "cycle": 1.0,
            "ifsr": 1.0,
            "adversarial": 1.0,
        }
        self.assertEqual({k: v for k, v in PUBLISHED.weights.items() if v}, wanted)
        moves = PUBLISHED.optimisation
        self.assertEqual((moves.g_beta_1, moves.beta_2, moves.lr), (0.0, 0.99, 1e-4))
        self.assertEqual((moves.ema, moves.clip_norm), (0.0, 0.0))
        options, judge = PUBLISHED.options, PUBLISHED.adversary
        self.assertEqual((options.ifsr_scale, options.look), (1.2, False))
        self.assertEqual((judge.r1_gamma, judge.r1_every), (10.0, 1))
        self.assertEqual((judge.kind, judge.real_images), ("nonsaturating", "source"))
        self.assertEqual(PUBLISHED.pairs.same_ratio, 0.2)
        self.assertEqual(PUBLISHED.warmup_steps, 0)
        self.assertIs(FaceDancer.recipes["published"], PUBLISHED)

    def test_fine_tuning_learns_from_what_the_swapper_does_wrong(self):
        """All else is as the swapper was trained before."""
        self.assertIs(FaceDancer.recipes["fine_tuned"], FINE_TUNED)
        wanted = IMPROVED.weights | {
            "adversarial": 0.0,
            "adversarial_projected": 4.0,
            "identity": 15.0,
            "contrast": 15.0,
            "parts": 6.0,
            "landmarks": 15.0,
            "cycle": 0.0,
        }
        self.assertEqual(FINE_TUNED.weights, wanted)
        options, pairs = FINE_TUNED.options, FINE_TUNED.pairs
        self.assertEqual((options.proxy_ratio, options.identity_margin), (0.9, 0.65))
        self.assertTrue(options.identity_of_others and options.look)
        self.assertEqual((pairs.same_ratio, pairs.same_person_ratio), (0.1, 0.45))
        self.assertEqual(FINE_TUNED.optimisation.lr, 2e-4)
        self.assertEqual(FINE_TUNED.adversary.augment, ())
        self.assertEqual(len(FINE_TUNED.all_stages()), 1)
        self.assertEqual(FINE_TUNED.structure, IMPROVED.structure)

    def test_changes_reach_every_part(self):
        new = PUBLISHED.changed(
            identity=3.0, kind="hinge", lr=2.0, flip=True, look=True, warmup_steps=4
        )
        self.assertEqual((new.weights["identity"], new.weights["cycle"]), (3.0, 1.0))
        self.assertEqual((new.adversary.kind, new.optimisation.lr), ("hinge", 2.0))
        self.assertEqual((new.pairs.flip, new.options.look), (True, True))
        self.assertEqual((new.warmup_steps, PUBLISHED.warmup_steps), (4, 0))
        with self.assertRaisesRegex(ValueError, "The recipe has no identty, x"):
            PUBLISHED.changed(x=1, identty=2.0)

    def test_the_warm_up_is_a_stage(self):
        stages = IMPROVED.all_stages()
        self.assertEqual([stage.start for stage in stages], [0, 300])
        self.assertEqual([stage.self_pairs for stage in stages], [True, False])
        first = IMPROVED.weights_in(0)
        self.assertEqual(first, {"low_frequency": 5.0, "reconstruction": 10.0})
        numbers = [IMPROVED.stage_number(step) for step in (0, 299, 300, 9999)]
        self.assertEqual(numbers, [0, 0, 1, 1])
        self.assertTrue(IMPROVED.ever("adversarial"))
        self.assertFalse(IMPROVED.changed(adversarial=0.0).ever("adversarial"))

    def test_stages_change_weights_and_rate(self):
        recipe = PUBLISHED.changed(
            schedule="constant",
            warmup_steps=10,
            stages=(
                Stage(20, {"perceptual": 0.0}),
                Stage(30, lr_factor=0.3, exchange=(("a", "b"),)),
            ),
        )
        starts = [stage.start for stage in recipe.all_stages()]
        self.assertEqual(starts, [0, 10, 20, 30])
        found = [recipe.weights_in(k).get("perceptual") for k in range(4)]
        self.assertEqual(found, [None, 0.2, None, 0.2])
        rates = [recipe.learning_rate(step, 100) for step in (15, 25, 30, 99)]
        self.assertEqual(rates, [1e-4, 1e-4, 0.3 * 1e-4, 0.3 * 1e-4])
        late = PUBLISHED.changed(
            adversarial=0.0, stages=(Stage(5, {"adversarial": 1}),)
        )
        self.assertEqual([s.start for s in late.all_stages()], [0, 5])
        self.assertTrue(late.ever("adversarial"))

    @parameterized.parameters(
        (dict(stages=(Stage(5), Stage(5))), "one after the other"),
        (dict(warmup_steps=9, stages=(Stage(5),)), "after the warm-up"),
        (dict(stages=(Stage(5, {"edges": 1.0}),)), r"has not: \['edges'\]"),
        (dict(stages=(Stage(5, only=("x",)),)), r"has not: \['x'\]"),
    )
    def test_bad_stages(self, changes, words):
        with self.assertRaisesRegex(ValueError, words):
            PUBLISHED.changed(**changes)

    def test_without_a_discriminator(self):
        off = PUBLISHED.changed(kind="none")
        self.assertFalse(off.ever("adversarial"))
        self.assertNotIn("adversarial", off.weights_in(0))
        self.assertIn("cycle", off.weights_in(0))

    def test_a_recipe_without_options(self):
        self.assertEqual(Recipe({"a": 1.0}).changed(a=2.0).weights, {"a": 2.0})

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
        recipe = PUBLISHED.changed(lr=2.0, schedule=schedule)
        self.assertAlmostEqual(recipe.learning_rate(step, 1000), 2.0 * factor)

    @parameterized.parameters(
        ("kind", "wgan", "`kind` must be one of"),
        ("real_images", "both", "`real_images` must be one of"),
        ("schedule", "linear", "`schedule` must be one of"),
        ("jitter", "strong", "`jitter` must be one of"),
        ("identity", -1.0, "`identity` must be at least 0. Received: -1.0"),
        ("identity", float("nan"), "`identity` must be at least 0"),
        ("ifsr_scale", -1.0, "`ifsr_scale` must be at least 0"),
        ("r1_every", 0, "`r1_every` must be at least 1"),
        ("cycle_every", 0, "`cycle_every` must be at least 1"),
        ("ema", 1.0, r"`ema` must lie in \[0, 1\)"),
        ("same_ratio", 1.5, r"`same_ratio` must lie in \[0, 1\]"),
        ("same_person_ratio", 0.9, "must be fractions of a batch"),
        ("lr", 0.0, "`lr` must be greater than 0"),
        ("warmup_steps", -1, "`warmup_steps` must be at least 0"),
    )
    def test_refused(self, name, value, words):
        with self.assertRaisesRegex(ValueError, words):
            PUBLISHED.changed(**{name: value})
