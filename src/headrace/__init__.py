"""Headrace: raw text to a served language model, in cached and verified stages."""

__version__ = "0.1.0"
