"""Self-supervised features: backbones, methods, one trainer, a collapse monitor and kNN.

Try it::

    config, reasons = suggest_settings(n=8000, size=28, channels=1)
    pretrain(pixels, config, out=Path("encoder"), scratch=Path("scratch"))
    features = embed(load_encoder(Path("encoder")), pixels)
"""

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import BACKBONES, Backbone, build_backbone
from ssl_models.config import TrainConfig
from ssl_models.embed import embed
from ssl_models.encoders import load_encoder, save_encoder
from ssl_models.knn import knn_predict_proba
from ssl_models.launch import LaunchSpec, launch
from ssl_models.methods import METHODS, Method
from ssl_models.monitor import Health, measure, verdict
from ssl_models.suggest import suggest_settings
from ssl_models.trainer import pretrain

__all__ = [
    "BACKBONES",
    "METHODS",
    "Augment",
    "AugmentConfig",
    "Backbone",
    "Health",
    "LaunchSpec",
    "Method",
    "TrainConfig",
    "build_backbone",
    "embed",
    "knn_predict_proba",
    "launch",
    "load_encoder",
    "measure",
    "pretrain",
    "save_encoder",
    "suggest_settings",
    "verdict",
]
