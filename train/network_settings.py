"""Which networks are trained and which only look on: two groups of the settings."""

from __future__ import annotations

import dataclasses
from typing import Any

from facedancer.flags.settings import Checked, ranged, repeated, setting
from facedancer.train.recipe_flags import named_values, overrides
from facedancer.train.systems.facedancer_recipes import Options


@dataclasses.dataclass(frozen=True)
class NetworkSettings(Checked):
    """Networks that are trained; where the default is empty, the preset decides.

    Attributes:
        preset: Structure of the networks, such as facedancer_c or facedancer_lite_128.
            Empty: the system's own, facedancer_c.
        image_size: Side of the images in pixels. With --init_generator its weights go
            on at this size.
        base_width: Channels of the generator at the full size.
        mapping_depth: Layers of the mapping network.
        mapping_size: Units of each of them.
        up_types: Fusion of each skip connection, from the smallest map to the full
            size: no_skip, concat, add, affa, d_affa or do_affa.
        d_base_width: Channels of the discriminator at the full size. Empty: those of
            the generator.
        d_max_width: Most channels of the discriminator. Empty: those of the generator.
        normalise_identity: Let the generator bring identity vectors to one length
            first; published is false. Improved does, for encoders other than
            ArcFace-ResNet50.
        tanh: End the generator in tanh; published is false, a linear output.
        structure: Any field of the structures by name, as in final_adain=false. May be
            repeated.
        init_generator: Generator file to fine-tune, published .h5 or own. Its
            structure replaces the preset, all but --image_size.
        init_discriminator: Discriminator file that belongs to it.
    """

    preset: str = setting("", essential=True)
    image_size: int | None = ranged(None, low=1)
    base_width: int | None = None
    mapping_depth: int | None = ranged(None, low=0)
    mapping_size: int | None = ranged(None, low=1)
    up_types: tuple[str, ...] = ()
    d_base_width: int | None = ranged(None, low=1)
    d_max_width: int | None = ranged(None, low=1)
    normalise_identity: bool | None = None
    tanh: bool | None = None
    structure: tuple[str, ...] = repeated()
    init_generator: str = ""
    init_discriminator: str = ""

    def changes(self) -> dict[str, Any]:
        """Returns the fields of structures that differ from the preset's, by name."""
        own = {"preset", "structure", "init_generator", "init_discriminator"}
        given = {k: v for k, v in vars(self).items() if k not in own}
        known = {k: v for k, v in given.items() if v is not None and v != ()}
        return known | named_values("structure", self.structure)


@dataclasses.dataclass(frozen=True)
class FrozenSettings(Checked):
    """Networks that only look on.

    Attributes:
        arcface_path: File of the identity encoder; empty: the packaged one.
        second_arcface_path: File of a second identity encoder for the loss.
        perceptual: Perceptual network: vgg16 (from the folder of Keras), encoder
            (the identity encoder's own maps), none, or a weights file of VGG16,
            SqueezeNet or MobileNet (.npz).
        p_blocks: Layers of the perceptual network. Empty: its default.
        legacy_perceptual: Feed VGG16 as the original did, without preprocessing.
        projector_path: The networks whose features the discriminator of
            --projected_lambda judges by: face_parser, the packaged one, or weights
            files of VGG16, SqueezeNet, or MobileNet (.npz). Empty: face_parser.
        margins_file: File of train/calibrate_margins.py with blocks and margins.
        ifsr_blocks: Layers of the encoder IFSR compares. Empty: those known.
        ifsr_margin: IFSR margins, one per block or one for all. Empty: those known.
        proxy_generator: Generator of the same encoder: it swaps the target of pairs of
            two photos of one person to somebody else; the photo is the known truth.
    """

    arcface_path: str = setting("", essential=True)
    second_arcface_path: str = ""
    perceptual: str | None = overrides("perceptual_network", Options, essential=True)
    p_blocks: tuple[str, ...] = ()
    legacy_perceptual: bool = False
    projector_path: tuple[str, ...] = ()
    margins_file: str = ""
    ifsr_blocks: tuple[str, ...] = ()
    ifsr_margin: tuple[float, ...] = ()
    proxy_generator: str = ""
