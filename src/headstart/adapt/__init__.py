"""Fit a pretrained network to data: read it through the held blocks once, probe, and go deeper where that pays."""
