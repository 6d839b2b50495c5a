"""Self-supervised methods, one file each; importing the package registers them."""

from ssl_models.methods.barlow_twins import BarlowTwins
from ssl_models.methods.base import METHODS, Method, build_method, register_method
from ssl_models.methods.byol import BYOL
from ssl_models.methods.cmc import CMC
from ssl_models.methods.dino import DINO
from ssl_models.methods.dinov2 import DINOv2
from ssl_models.methods.ibot import IBOT
from ssl_models.methods.instance_discrimination import InstanceDiscrimination
from ssl_models.methods.moco import MoCoV1, MoCoV2
from ssl_models.methods.pirl import PIRL
from ssl_models.methods.simclr import SimCLR, nt_xent
from ssl_models.methods.simsiam import SimSiam
from ssl_models.methods.swav import SwAV

__all__ = [
    "BYOL",
    "CMC",
    "DINO",
    "IBOT",
    "METHODS",
    "PIRL",
    "BarlowTwins",
    "DINOv2",
    "InstanceDiscrimination",
    "Method",
    "MoCoV1",
    "MoCoV2",
    "SimCLR",
    "SimSiam",
    "SwAV",
    "build_method",
    "nt_xent",
    "register_method",
]
