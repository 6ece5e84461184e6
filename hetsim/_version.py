"""Versions: of the package, and of the model (raised whenever a change moves results)."""

__version__ = "0.1.0"
MODEL_VERSION = 4
