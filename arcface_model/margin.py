"""The classification head an encoder is trained with: additive angular margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from facedancer.networks.tensors import Shape, Tensor


def arc_margin_logits(
    cosines: Tensor, labels: Tensor, margin: float = 0.5, scale: float = 64.0
) -> Tensor:
    """Returns logits in which the right class must win by an angle.

    `cos(angle)` of the right class becomes `cos(angle + margin)`. Where the sum would
    pass 180 degrees the cosine turns upwards again, so `cos(angle) - sin(margin) *
    margin` stands there, which keeps falling.

    Args:
        cosines: `(batch, classes)` cosines of embeddings with class centres, [-1, 1].
        labels: `(batch,)` int, the right class.
        margin: Radians.
        scale: Factor on all logits.

    Returns:
        `(batch, classes)` of the dtype of `cosines`.

    Reference:
        - [Deng et al., 2019](https://arxiv.org/abs/1801.07698), equation 3
    """
    # A gradient of the root at exactly 1 would be infinite.
    clipped = ops.clip(cosines, -1.0 + 1e-6, 1.0 - 1e-6)
    sine = ops.sqrt(1.0 - clipped * clipped)
    moved = clipped * math.cos(margin) - sine * math.sin(margin)
    beyond = cosines - math.sin(margin) * margin
    moved = ops.where(cosines > math.cos(math.pi - margin), moved, beyond)
    right = ops.one_hot(labels, ops.shape(cosines)[-1], dtype="bool")
    return scale * ops.where(right, moved, cosines)


@keras.saving.register_keras_serializable(package="facedancer")
class ArcMargin(keras.layers.Layer):
    """One learned centre per identity; logits with an angular margin.

    Args:
        classes: Number of identities.
        margin: Radians.
        scale: Factor on all logits.

    Call arguments:
        inputs: A pair of embeddings `(batch, d)` of any length and int labels
            `(batch,)`.

    Returns:
        `(batch, classes)` logits for a softmax cross-entropy, float32.

    Reference:
        - [Deng et al., 2019](https://arxiv.org/abs/1801.07698)
    """

    def __init__(
        self, classes: int, margin: float = 0.5, scale: float = 64.0, **kwargs: object
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.classes = classes
        self.margin = margin
        self.scale = scale

    def build(self, input_shape: Sequence[Shape]) -> None:
        embedding_shape, _ = input_shape
        self.centres = self.add_weight(
            shape=(embedding_shape[-1], self.classes),
            initializer=keras.initializers.RandomNormal(stddev=0.01),
            name="centres",
        )

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        embeddings, labels = inputs
        embeddings = ops.cast(embeddings, self.compute_dtype)
        centres = ops.cast(self.centres, self.compute_dtype)
        cosines = ops.matmul(
            ops.normalize(embeddings, axis=-1), ops.normalize(centres, axis=0)
        )
        return arc_margin_logits(
            cosines, ops.cast(labels, "int32"), self.margin, self.scale
        )

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (input_shape[0][0], self.classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "classes": self.classes,
            "margin": self.margin,
            "scale": self.scale,
        }
