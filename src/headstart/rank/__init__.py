"""How well features of a pretrained network will transfer: one estimator per file, arrays in, a number out."""
