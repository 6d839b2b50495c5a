"""Self-supervised methods, one file each; importing the package registers them."""

from ssl_models.methods.barlow_twins import BarlowTwins
from ssl_models.methods.base import (
    METHODS,
    Method,
    MethodOption,
    Objective,
    build_method,
    method_options,
    options_of,
    register_method,
)
from ssl_models.methods.byol import BYOL
from ssl_models.methods.cmc import CMC
from ssl_models.methods.colorization import Colorization
from ssl_models.methods.context_encoder import ContextEncoder
from ssl_models.methods.cpc import CPC
from ssl_models.methods.denoising_autoencoder import DenoisingAutoencoder
from ssl_models.methods.dino import DINO
from ssl_models.methods.dinov2 import DINOv2
from ssl_models.methods.ibot import IBOT
from ssl_models.methods.instance_discrimination import InstanceDiscrimination
from ssl_models.methods.jigsaw import Jigsaw
from ssl_models.methods.mae import MAE
from ssl_models.methods.moco import MoCoV1, MoCoV2
from ssl_models.methods.pirl import PIRL
from ssl_models.methods.relative_patch import RelativePatch
from ssl_models.methods.rotation import Rotation
from ssl_models.methods.simclr import SimCLR, nt_xent
from ssl_models.methods.simsiam import SimSiam
from ssl_models.methods.split_brain import SplitBrain
from ssl_models.methods.swav import SwAV

__all__ = [
    "BYOL",
    "CMC",
    "CPC",
    "DINO",
    "IBOT",
    "MAE",
    "METHODS",
    "PIRL",
    "BarlowTwins",
    "Colorization",
    "ContextEncoder",
    "DINOv2",
    "DenoisingAutoencoder",
    "InstanceDiscrimination",
    "Jigsaw",
    "Method",
    "MethodOption",
    "MoCoV1",
    "MoCoV2",
    "Objective",
    "RelativePatch",
    "Rotation",
    "SimCLR",
    "SimSiam",
    "SplitBrain",
    "SwAV",
    "build_method",
    "method_options",
    "nt_xent",
    "options_of",
    "register_method",
]
