"""The same network without what it knew: what pretraining is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.probe import Ask
from headstart.adapt.recipes import Recipe
from headstart.core.plan import Plan
from headstart.data.dataset import Dataset
from headstart.heads.logistic import sigmoid, softmax
from headstart.sources.card import Card

Rows = NDArray[np.int64]


def from_scratch(
    card: Card,
    blocks: int,
    data: Dataset,
    train: Rows,
    test: Rows,
    ask: Ask,
    cache: Path,
    *,
    fast: bool,
    budget: float,
    threads: int = 0,
) -> NDArray:
    """(test, c) probabilities, or numbers, of the same architecture trained from random weights.

    Args:
        blocks: of the stack, the head among them.
        fast: whether the CPU multiplies in bfloat16 (used for texts).
        budget: seconds of training; as many passes over the data as fit, at most 40.
        threads: of the CPU; 0 takes all.
    """
    from headstart.adapt.tune import features, tune  # brings torch in

    assert data.y is not None
    precision = "bfloat16" if fast and card.modality == "text" else "float32"
    plan = Plan(blocks, 40, lr=1e-3, batch=16, weight_decay=0.01, schedule="linear", precision=precision, seed=ask.seed)
    recipe = Recipe("from scratch", "task", plan, stored=False)
    tuned = tune(card, data.take(train), data.y[train], recipe, cache, threads=threads, budget=budget, weights=False)
    stack = tuned.stack
    x = features(stack, data.take(test), card, cache, precision=precision, threads=threads)
    linear = stack.head_linear
    out = x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
    return {"classes": softmax, "labels": sigmoid}.get(data.task, np.asarray)(out.astype(np.float64))
