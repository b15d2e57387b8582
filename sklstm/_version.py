"""The version of the package, read by the build and by ``sklstm/__init__.py``."""

__version__ = "0.1.0"
