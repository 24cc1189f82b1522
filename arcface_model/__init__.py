"""Aligned crop -> identity vector and feature taps."""

import typing

from facedancer import lazy

if typing.TYPE_CHECKING:
    from facedancer.arcface_model.embedding import Embedder, mean_of_embeddings
    from facedancer.arcface_model.encoder import Encoder, fold, tap_model, unfold
    from facedancer.arcface_model.loading import load_embedder, load_encoder
    from facedancer.arcface_model.margin import ArcMargin, arc_margin_logits
    from facedancer.arcface_model.mobilefacenet import (
        MobileFaceNet,
        build_mobilefacenet,
    )
    from facedancer.arcface_model.resnet50 import ArcFaceResNet50, build_resnet50
    from facedancer.networks.vectors import cosine, cosine_matrix, normalize

__getattr__ = lazy.attributes(
    __name__,
    {
        ".embedding": ("Embedder", "mean_of_embeddings"),
        ".encoder": ("Encoder", "fold", "tap_model", "unfold"),
        ".loading": ("load_embedder", "load_encoder"),
        ".margin": ("ArcMargin", "arc_margin_logits"),
        ".mobilefacenet": ("MobileFaceNet", "build_mobilefacenet"),
        ".resnet50": ("ArcFaceResNet50", "build_resnet50"),
        "facedancer.networks.vectors": ("cosine", "cosine_matrix", "normalize"),
    },
)

__all__ = [
    "ArcFaceResNet50",
    "ArcMargin",
    "Embedder",
    "Encoder",
    "MobileFaceNet",
    "arc_margin_logits",
    "build_mobilefacenet",
    "build_resnet50",
    "cosine",
    "cosine_matrix",
    "fold",
    "load_embedder",
    "load_encoder",
    "mean_of_embeddings",
    "normalize",
    "onnx_network",
    "portable_encoder",
    "shapes",
    "tap_model",
    "unfold",
    "verification",
]
