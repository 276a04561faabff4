"""A tail learned in the small, for what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.adapt.costs import Costs
from headstart.adapt.held import Reader, forget, open_tuned
from headstart.adapt.recipes import Recipe
from headstart.data.dataset import Dataset


def rehearse(held: Reader, few: Dataset, recipe: Recipe, cache: Path, costs: Costs) -> None:
    """Go once through all that a tail takes, on a few rows and for two epochs; `costs` notes it, nothing is kept.

    Args:
        few: rows, at least as many as a batch has.
    """
    depth = recipe.plan.depth
    with costs.first("start", "torch"):
        from headstart.adapt.tune import tail_of, tune
    assert few.y is not None
    short = replace(recipe, plan=replace(recipe.plan, epochs=2))
    stack = tune(held.card, few, few.y, short, cache, threads=held.threads).stack
    tail = tail_of(stack, depth)
    with costs.timed(f"tuned {depth}"):
        tuned = open_tuned(held.card, tail, lambda: stack, cache, threads=held.threads, device=held.device, aside=True)
    tuned.read(few)
    forget(tuned)
