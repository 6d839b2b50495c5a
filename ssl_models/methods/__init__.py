"""Self-supervised methods, one file each; importing the package registers them."""

from ssl_models.methods.base import METHODS, Method, build_method, register_method
from ssl_models.methods.simclr import SimCLR, nt_xent

__all__ = ["METHODS", "Method", "SimCLR", "build_method", "nt_xent", "register_method"]
