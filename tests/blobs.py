"""Rows of features for tests of heads."""

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold


def blobs(n=120, d=10, c=3, seed=0, apart=1.0):
    """Classes of Gaussian rows with correlated features, float32."""
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.arange(n) % c)
    mix = draw.normal(size=(d, d)) / np.sqrt(d)
    x = (draw.normal(size=(n, d)) + apart * draw.normal(size=(c, d))[y]) @ mix + 3
    return x.astype(np.float32), y.astype(np.int64)


def folds_of(y, count=4):
    kind = StratifiedKFold if y.ndim == 1 and y.dtype.kind == "i" else KFold
    return list(kind(count, shuffle=True, random_state=0).split(np.zeros(len(y)), y))
