"""The version of thoplw."""

__version__ = "2026.11.0"
