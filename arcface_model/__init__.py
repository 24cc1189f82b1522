"""Aligned crop -> identity vector and feature taps."""

from facedancer.arcface_model.embedding import Embedder, mean_of_embeddings
from facedancer.arcface_model.encoder import Encoder, fold, tap_model
from facedancer.arcface_model.loading import load_encoder
from facedancer.arcface_model.margin import ArcMargin, arc_margin_logits
from facedancer.arcface_model.mobilefacenet import MobileFaceNet, build_mobilefacenet
from facedancer.arcface_model.resnet50 import ArcFaceResNet50, build_resnet50
from facedancer.vectors import cosine, cosine_matrix, normalize

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
    "load_encoder",
    "mean_of_embeddings",
    "normalize",
    "tap_model",
]
