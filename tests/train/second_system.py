"""A second system, made of test code alone: what `docs/adding_a_system.md` asks for.

Plum is told by a number whom to show, sees a target without its face, and gives a
picture and how much of it is pasted. Its discriminator looks at patches, and is told
the same number.
"""

import contextlib
import dataclasses

import keras
import numpy as np
from keras import ops

from facedancer.face import face_maps
from facedancer.models.architectures import ARCHITECTURES, Architecture
from facedancer.models.families.built_network import BuiltNetwork, SwapperNetwork
from facedancer.models.layers.registration import register
from facedancer.networks.contract import IdentityInput, InputContract, SwapContract
from facedancer.train.objective import losses
from facedancer.train.objective.adversary import Adversary
from facedancer.train.objective.recipes import AdversaryRecipe, PairRecipe, Recipe
from facedancer.train.objective.terms import Term
from facedancer.train.systems import SYSTEMS
from facedancer.train.systems.base import System


class Dicts:
    """To a dict that JSON can hold, and back."""

    def to_dict(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values):
        return cls(**values)

    def describe(self):
        return f"{self.image_size} px, width {self.width}"


@dataclasses.dataclass(frozen=True)
class PlumConfig(Dicts):
    """The structure of the generator."""

    image_size: int = 16
    width: int = 4
    people: int = 4
    template: str = "arcface"
    shrink: float = 1.0

    @property
    def contract(self):
        return SwapContract(
            InputContract(self.image_size, "signed", self.template, self.shrink),
            IdentityInput("label", self.people),
            inputs=("masked_target", "label"),
            outputs=("swapped", "alpha"),
        )


@dataclasses.dataclass(frozen=True)
class PlumJudgeConfig(Dicts):
    """The structure of the discriminator."""

    image_size: int = 16
    width: int = 4
    people: int = 4


def generator_graph(config, dtype):
    """Inputs and outputs by name."""
    size, width = config.image_size, config.width
    image = keras.Input((size, size, 3), name="masked_target")
    label = keras.Input((1,), dtype="int32", name="label")
    person = keras.layers.Embedding(config.people, width, dtype=dtype)(label)
    person = keras.layers.Reshape((1, 1, width), dtype=dtype)(person)
    x = keras.layers.Conv2D(width, 3, padding="same", activation="elu", dtype=dtype)(
        image
    )
    x = keras.layers.Add(dtype=dtype)([x, person])
    picture = keras.layers.Conv2D(3, 3, padding="same", dtype=dtype)(x)
    alpha = keras.layers.Conv2D(1, 1, activation="sigmoid", dtype=dtype)(x)
    end = [
        keras.layers.Activation("linear", dtype="float32", name=name)(part)
        for name, part in (("swapped", picture), ("alpha", alpha))
    ]
    return [image, label], end


def judge_graph(config, dtype):
    """Patches of 4 pixels, each with a logit."""
    size, width = config.image_size, config.width
    image = keras.Input((size, size, 3), name="image")
    label = keras.Input((1,), dtype="int32", name="label")
    person = keras.layers.Embedding(config.people, width, dtype=dtype)(label)
    person = keras.layers.Reshape((1, 1, width), dtype=dtype)(person)
    x = keras.layers.Conv2D(width, 4, 4, activation="elu", dtype=dtype)(image)
    x = keras.layers.Add(dtype=dtype)([x, person])
    x = keras.layers.Conv2D(1, 1, dtype=dtype)(x)
    return [image, label], keras.layers.Activation("linear", dtype="float32")(x)


@register
class PlumGenerator(SwapperNetwork):
    """The generator."""

    config_class = PlumConfig
    role = "generator"
    graph = staticmethod(generator_graph)

    def __init__(self, config, form="composed", dtype=None, name="generator"):
        config, dtype = self.resolve(config, dtype)
        super().__init__(config, dtype, name, form=form, dtype=dtype.name)


@register
class PlumJudge(BuiltNetwork):
    """The discriminator."""

    config_class = PlumJudgeConfig
    role = "discriminator"
    graph = staticmethod(judge_graph)

    def __init__(self, config, form="composed", dtype=None, name="discriminator"):
        config, dtype = self.resolve(config, dtype)
        super().__init__(config, dtype, name, form=form, dtype=dtype.name)


PLUM = Architecture(
    name="plum",
    title="Plum",
    networks={"generator": PlumGenerator, "discriminator": PlumJudge},
    swapper=lambda networks: networks["generator"],
    presets={
        "generator": {"small": PlumConfig()},
        "discriminator": {"small": PlumJudgeConfig()},
    },
)


class Plum(System):
    """How it learns: to paint the face that is missing."""

    name = architecture = "plum"
    preset = "small"
    recipes = {
        "plain": Recipe(
            {"difference": 1.0, "adversarial": 0.1},
            adversary=AdversaryRecipe(kind="lsgan", r1_gamma=0.0),
            pairs=PairRecipe(same_ratio=1.0, jitter="none"),
        )
    }

    def make_terms(self):
        return (
            Term(
                "difference",
                lambda seen, made: {
                    "difference": ops.sum(
                        losses.absolute_difference(seen["target"], made["swapped"])
                    )
                },
            ),
        )

    def make_adversaries(self):
        numbers = self.recipe.adversary
        return (Adversary(real="target", kind=numbers.kind, condition=("label",)),)

    def see(self, batch, phase):
        size = batch["target"].shape[1]
        landmarks = PlumConfig(size).contract.image.alignment.landmarks(size)
        area = np.asarray(face_maps.face_area(landmarks, size))[None, :, :, None]
        return {
            "target": batch["target"],
            "masked_target": batch["target"] * (1.0 - area),
            "label": ops.cast(batch["target_identity"][:, None], "int32"),
        }

    def make(self, networks, seen, needs):
        feeds = [seen["masked_target"], seen["label"]]
        swapped, alpha = networks["generator"](feeds, training=True)
        return {"swapped": swapped, "alpha": alpha}


@contextlib.contextmanager
def registered():
    """The two lines in the two tables."""
    ARCHITECTURES["plum"], SYSTEMS["plum"] = PLUM, Plum
    try:
        yield
    finally:
        del ARCHITECTURES["plum"], SYSTEMS["plum"]
