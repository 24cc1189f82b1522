"""What discriminators do besides telling made images from real ones."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Decoy:
    """Images that are seen, not made, and that a discriminator should see through, too.

    Attributes:
        image: Name of what is seen, images of the shape of the real ones.
        rows: Name of what is seen, `(batch,)`, how much each of them counts; empty: all
            count fully.
        weight: Of its loss beside that of the fakes.
    """

    image: str
    rows: str = ""
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Told:
    """A vector that a discriminator tells of an image, its last output.

    The discriminator learns it of real images by squared differences. The generator
    pays for a fake whose vector is further than `margin` from the wanted one.

    Attributes:
        real: Name of what is seen, `(batch, d)`, the vectors of real images.
        fake: The same, what should be told of fakes, of length one.
        rows: Name of what is seen, `(batch,)`, how much each fake counts.
        margin: A cosine distance below this costs nothing.
    """

    real: str
    fake: str
    rows: str
    margin: float
