"""Weaklight: turn unlabelled data into training labels people can trust.

Try it: ``weaklight demo`` runs the whole line on a bundled example.
"""

__version__ = "0.1.0"
__all__ = ["__version__"]
