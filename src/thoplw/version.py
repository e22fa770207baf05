"""The version of thoplw."""

__version__ = "0.1.0"
