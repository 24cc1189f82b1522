"""The families of networks, one entry each: what a new family has to bring."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from facedancer.models.families.conditional_gan import presets as conditional_presets
from facedancer.models.families.conditional_gan.discriminator import ConditionalJudge
from facedancer.models.families.conditional_gan.generator import ConditionalGenerator
from facedancer.models.families.facedancer import fused, presets
from facedancer.models.families.facedancer.discriminator import FaceDancerDiscriminator
from facedancer.models.families.facedancer.generator import FaceDancerGenerator
from facedancer.models.families.faceswap_gan import generator as faceswap
from facedancer.models.families.faceswap_gan import presets as faceswap_presets
from facedancer.models.families.faceswap_gan.discriminator import (
    FaceswapCritic,
    FaceswapDiscriminator,
)
from facedancer.models.families.mobile_fsgan import presets as mobile_presets
from facedancer.models.families.mobile_fsgan.discriminator import (
    MobileFSGANDiscriminator,
)
from facedancer.models.families.mobile_fsgan.generator import MobileFSGANGenerator
from facedancer.models.families.swap_them_all import presets as swap_presets
from facedancer.models.families.swap_them_all.discriminator import (
    PairDiscriminator,
    SemanticDiscriminator,
)
from facedancer.models.families.swap_them_all.generator import SwapThemAllGenerator
from facedancer.models.published import structure
from facedancer.networks.network import Network
from facedancer.networks.tensors import Dtype


def _unfused(network: Network, dtype: Dtype = None, **options: object) -> Network:
    """Returns the network itself, for families without a cheaper form."""
    return network if dtype is None else network.variant(dtype=dtype)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One family of networks.

    Attributes:
        name: As flags and files say it.
        title: As messages say it.
        networks: The class by role, in the order in which they are saved.
        swapper: From trained networks by role to the one that is exported and swapped
            with.
        presets: Configs by role, by the preset's name.
        forms: Further classes that a file may hold.
        stems: Beginning of the original's checkpoint files, by role.
        kind_of: What the graph of a foreign file seems to be: a role, or other words.
        readers: What reads such a graph, by role.
        fuse: Returns the cheaper form of the swapper for inference, called as
            `fuse(network, dtype=None, **options)`.
    """

    name: str
    title: str
    networks: Mapping[str, type[Network]]
    swapper: Callable[[Mapping[str, Network]], Network]
    presets: Mapping[str, Mapping[str, Any]]
    forms: tuple[type[Network], ...] = ()
    stems: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kind_of: Callable[..., str] = lambda graph: "other"
    readers: Mapping[str, Callable] = dataclasses.field(default_factory=dict)
    fuse: Callable[..., Network] = _unfused

    def classes(self) -> dict[str, type[Network]]:
        """Returns all its classes, by the name in a file."""
        known = (*self.networks.values(), *self.forms)
        return {one.__name__: one for one in known}


FACEDANCER = Architecture(
    name="facedancer",
    title="FaceDancer",
    networks={
        "generator": FaceDancerGenerator,
        "discriminator": FaceDancerDiscriminator,
    },
    swapper=lambda networks: networks["generator"],
    presets={
        "generator": presets.PRESETS,
        "discriminator": presets.DISCRIMINATORS,
    },
    forms=(fused.FaceDancerFused,),
    stems={"generator": "gen", "discriminator": "dis"},
    kind_of=structure.kind_of,
    readers={
        "generator": structure.read_generator,
        "discriminator": structure.read_discriminator,
    },
    fuse=fused.fuse,
)

MOBILE_FSGAN = Architecture(
    name="mobile_fsgan",
    title="MobileFSGAN",
    networks={
        "generator": MobileFSGANGenerator,
        "discriminator": MobileFSGANDiscriminator,
    },
    swapper=lambda networks: networks["generator"],
    presets={
        "generator": mobile_presets.PRESETS,
        "discriminator": mobile_presets.DISCRIMINATORS,
    },
)

FACESWAP_GAN = Architecture(
    name="faceswap_gan",
    title="faceswap-GAN",
    networks={
        "encoder": faceswap.FaceswapEncoder,
        "decoder": faceswap.FaceswapDecoder,
        "discriminator": FaceswapDiscriminator,
        "critic": FaceswapCritic,
    },
    swapper=lambda networks: faceswap.swapper_of(networks, "decoder", 1),
    presets={
        "encoder": faceswap_presets.PRESETS,
        "decoder": faceswap_presets.PRESETS,
        "discriminator": faceswap_presets.DISCRIMINATORS,
        "critic": faceswap_presets.CRITICS,
    },
    forms=(faceswap.FaceswapSwapper,),
)

CONDITIONAL_GAN = Architecture(
    name="conditional_gan",
    title="conditional GAN",
    networks={"generator": ConditionalGenerator, "discriminator": ConditionalJudge},
    swapper=lambda networks: networks["generator"],
    presets={
        "generator": conditional_presets.PRESETS,
        "discriminator": conditional_presets.DISCRIMINATORS,
    },
)

SWAP_THEM_ALL = Architecture(
    name="swap_them_all",
    title="swap-them-all",
    networks={
        "generator": SwapThemAllGenerator,
        "discriminator": SemanticDiscriminator,
        "pair_discriminator": PairDiscriminator,
    },
    swapper=lambda networks: networks["generator"],
    presets={
        "generator": swap_presets.PRESETS,
        "discriminator": swap_presets.DISCRIMINATORS,
        "pair_discriminator": swap_presets.PAIR_DISCRIMINATORS,
    },
)

ARCHITECTURES = {
    one.name: one
    for one in (
        FACEDANCER,
        MOBILE_FSGAN,
        FACESWAP_GAN,
        CONDITIONAL_GAN,
        SWAP_THEM_ALL,
    )
}


def of(network: Network) -> Architecture:
    """Returns the family of a network.

    Args:
        network: One of its networks, in any form.

    Raises:
        ValueError: If it belongs to none.
    """
    for one in ARCHITECTURES.values():
        if type(network) in one.classes().values():
            return one
    raise ValueError(
        f"The network must belong to one of {', '.join(ARCHITECTURES)}. "
        f"Received: {type(network).__name__}"
    )


def fuse(network: Network, dtype: Dtype = None, **options: object) -> Network:
    """Returns the form of a swapper that is cheapest for inference.

    Args:
        network: A swapper of any family.
        dtype: Policy of the layers; `None` is the global one.
        **options: What the family's fused form offers; others have no effect.

    Returns:
        A network with the same inputs and the same result to about 1e-5.
    """
    return of(network).fuse(network, dtype, **options)


def roles() -> tuple[str, ...]:
    """Returns the roles that a file can hold, of all families, each once."""
    return tuple(
        dict.fromkeys(role for one in ARCHITECTURES.values() for role in one.networks)
    )
