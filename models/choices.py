"""Words that the programs of this folder take; reading them needs no network library.

The modules that act on them hold them to what they know.
"""

# `architectures.roles` gives all but the first.
KINDS = (
    "auto",
    "generator",
    "discriminator",
    "encoder",
    "decoder",
    "critic",
    "pair_discriminator",
)
LAYOUTS = ("native", "published")  # of an .h5
PRECISIONS = ("f32", "f16", "int8")  # of a LiteRT file; Core ML has the first two
