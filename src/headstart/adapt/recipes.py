"""How deep a network may be tuned, and how, before any of it is tried."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headstart.core.plan import Plan
from headstart.errors import DepthError
from headstart.sources.card import Card

_BATCH = 64
_MANY = 2000  # rows from which on the task's own loss does as well as contrast, and better from some thousands on
_FEW_PICTURES = 500  # below, a tail takes longer than all the rest: it is tried where time was given for it
_FEWER = 10.0  # times the rate of a whole tail, where few of its weights learn
_SHARES = (0.25, 0.5)  # of the blocks of a picture network


@dataclass(frozen=True)
class Recipe:
    """How the tail of a network is trained.

    Attributes:
        name: for the report.
        objective: contrast (classes apart on the unit sphere; the head comes after) or task (the head's own loss).
        plan: of the loop; its depth counts the head.
        views: fixed views of each picture.
        stored: whether what enters the tail is computed once and kept; without it the views are drawn anew.
        gain: share of the head's errors that such a tail took away on other data, mean and deviation.
        worth: expected gain of the metric below which it is not tried unless time was given for it.
    """

    name: str
    objective: str
    plan: Plan
    views: int = 1
    stored: bool = True
    gain: tuple[float, float] = (0.0, 0.1)
    worth: float = 0.005


def recipes(
    card: Card,
    blocks: int,
    rows: int,
    columns: int,
    task: str,
    *,
    precision: str,
    seed: int,
    depth: int | None = None,
    patient: bool = False,
) -> tuple[Recipe, ...]:
    """What is worth trying below the head, shallowest first.

    Args:
        card: of the network.
        blocks: of the stack, the head among them.
        rows: examples to learn from.
        columns: classes, labels or numbers.
        task: classes, labels or numbers.
        precision: of the engine; where it is bf16 the CPU multiplies in it, and texts are tuned in it too.
        depth: asked for; the recipe is then for that depth alone.
        patient: whether time was given for it; few pictures are then tried too.

    Raises:
        DepthError: a depth that the network does not have.
    """
    if depth is not None and not 1 <= depth <= blocks:
        raise DepthError(
            f"depth={depth} is outside 1..{blocks}: {card.name} has {blocks} blocks. "
            f"Use 1 for a new head only, {blocks} for the whole network."
        )
    if card.modality == "text":
        fast = "bfloat16" if precision == "bf16" else "float32"
        recipe = text_recipe(blocks, rows, columns, task, precision=fast, seed=seed)
        if depth is not None:
            name = f"last {depth - 1} of {blocks - 1} blocks"
            recipe = replace(recipe, name=name, plan=replace(recipe.plan, depth=depth))
        return (recipe,)
    if depth is not None:
        return (picture_recipe(blocks, rows, columns, task, depth, seed=seed),)
    if rows < _FEW_PICTURES and not patient:
        return ()
    depths = (max(2, round(blocks * share)) for share in _SHARES)
    return tuple(picture_recipe(blocks, rows, columns, task, deeper, seed=seed) for deeper in depths)


def partly(recipe: Recipe, update: str) -> Recipe:
    """The recipe for a tail of which only norms, or only adapters, learn: at ten times the rate."""
    if update == "all":
        return recipe
    plan = replace(recipe.plan, update=update, lr=min(1.0, _FEWER * recipe.plan.lr))
    return replace(recipe, name=f"{recipe.name}, {update} alone", plan=plan)


def worth_a_try(recipe: Recipe, left: float, *, patient: bool) -> bool:
    """Whether a tail promises enough for the time that it takes to find out.

    Args:
        left: of the metric, still to gain.
        patient: whether time was given for it.
    """
    return patient or recipe.gain[0] * left >= recipe.worth


def text_recipe(blocks: int, rows: int, classes: int, task: str, *, precision: str, seed: int) -> Recipe:
    """Every layer of an encoder learns, the embeddings stay: what no text of the data has in it is not moved.

    Few rows of few classes: supervised contrast, which uses every pair of a batch and needs few steps; else the
    task's own loss from the fitted head on. Steps and rates were chosen on film reviews; the log has other sets.

    Args:
        blocks: of the stack, the head among them.
        rows: chunks of text to learn from.
        classes: labels or numbers.
    """
    contrast = task == "classes" and classes <= _BATCH // 8 and rows < _MANY
    batch = _BATCH if contrast else 32
    per_epoch = max(1, -(-rows // batch))
    steps = max(10, min(4 * per_epoch, 64), per_epoch) if contrast else max(48, min(6 * per_epoch, 128), per_epoch)
    plan = Plan(
        depth=blocks - 1,
        epochs=-(-steps // per_epoch),
        lr=1e-4 * max(1, 20 / steps),  # on few rows half the steps at twice the rate lose nothing
        batch=batch,
        weight_decay=0.01,
        schedule="linear",
        precision=precision,
        seed=seed,
    )
    how = "classes pulled apart" if contrast else "from the fitted head on"
    return Recipe(f"all layers, {how}", "contrast" if contrast else "task", plan, gain=(0.12, 0.12))


def picture_recipe(blocks: int, rows: int, columns: int, task: str, depth: int, *, seed: int) -> Recipe:
    """The last blocks on stored activations; the whole network on pictures in views drawn anew.

    Classes: supervised contrast. From a fitted head on, the head's own loss is nearly 0 on few rows, and steps of an
    adaptive rate on what is left of it destroy more than they build (digits of the log: 82 % before, 63 % after).

    Args:
        blocks: of the stack, the head among them.
        rows: pictures to learn from.
        columns: classes, labels or numbers.
        task: classes, labels or numbers.
        depth: blocks that learn, the head among them.
    """
    whole, contrast = depth == blocks, task == "classes"
    batch = min(256, max(_BATCH, 2 * columns)) if contrast else 32
    per_epoch = max(1, -(-rows // batch))
    plan = Plan(
        depth,
        epochs=max(2, -(-40 // per_epoch)) if contrast else max(3, min(8, 6000 // max(rows, 1))),
        lr=1e-3 if contrast else 1e-4,
        lr_decay=0.9 if whole else 1.0,
        batch=batch,
        weight_decay=0.01,
        schedule="linear",
        seed=seed,
    )
    name = "whole network" if whole else f"last {depth - 1} of {blocks - 1} blocks"
    how = ", classes pulled apart" if contrast else ", from the fitted head on"
    return Recipe(name + how, "contrast" if contrast else "task", plan, stored=not whole, gain=(0.1, 0.25), worth=0.015)
