"""Headstart: from a little data to a working model, with proof of what it was worth."""

__version__ = "0.1.0.dev0"
