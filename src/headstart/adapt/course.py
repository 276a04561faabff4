"""How a language model learns from talks, before any of it is tried: how deep, how fast, how often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headstart.core.plan import Plan
from headstart.errors import DepthError

RANK = 8
_SHARE = 1 / 3  # of the layers, those nearest the head, learn
_EPOCHS = 3
_BATCH = 8  # rows of the window
_STEPS = 24  # at least: of few talks more epochs
_MOST_EPOCHS = 12
_RATES = {"lora": 2e-3, "norms": 3e-3, "all": 1e-4}
_LEAST, _MOST, _GRID = 256, 1024, 64  # of the window, and what it is a multiple of
_WHOLE = 0.98  # of the talks that fit the window as they are
_DIGITS = 2  # bytes of a stored number
_DISK = 0.5  # of the free disk that stored states may take


@dataclass(frozen=True)
class Course:
    """How a language model is taught.

    Attributes:
        plan: of the loop.
        rank: of adapters.
        stored: whether what enters the learning layers is computed once and kept.
        rule: in words, where depth and rates come from.
    """

    plan: Plan
    rank: int
    stored: bool
    rule: str


def course(
    blocks: int,
    rows: int,
    *,
    depth: int | None = None,
    update: str | None = None,
    rates: Mapping[str, float],
    precision: str,
    seed: int,
    room: bool,
) -> Course:
    """The course for a network of so many blocks.

    Args:
        blocks: of the stack, embedding and head among them.
        rows: to learn from, of the window.
        depth: asked for; None takes a third of the layers.
        update: asked for; None is lora.
        rates: epochs, lr and batch that are asked for.
        room: whether the disk has room for stored states.

    Raises:
        DepthError: a depth that the network does not have.
    """
    if depth is not None and not 1 <= depth <= blocks:
        raise DepthError(
            f"depth={depth} is outside 1..{blocks}: this network has {blocks} blocks. Use {blocks} for all of it."
        )
    third = max(1, round(_SHARE * (blocks - 2)))
    deep, how = depth or third + 1, update or "lora"
    batch = int(rates.get("batch", min(_BATCH, rows)))
    steps = max(1, math.ceil(rows / batch))
    epochs = int(rates.get("epochs", min(_MOST_EPOCHS, max(_EPOCHS, math.ceil(_STEPS / steps)))))
    plan = Plan(
        deep,
        epochs=epochs,
        lr=float(rates.get("lr", _RATES[how])),
        batch=batch,
        schedule="linear",
        precision=precision,
        seed=seed,
        update=how,
    )
    stored = room and deep < blocks and epochs > 1
    return Course(plan, RANK, stored, _rule(plan, blocks, stored, depth, update, rates))


def _rule(
    plan: Plan, blocks: int, stored: bool, depth: int | None, update: str | None, rates: Mapping[str, float]
) -> str:
    """What learns, and which of it was asked for."""
    layers = blocks - 2
    what = "the whole network" if plan.depth >= blocks - 1 else f"the last {plan.depth - 1} of {layers} layers"
    if plan.depth == 1:
        what = "the head"
    how = {"lora": "adapters of", "norms": "norms of", "all": "all weights of"}[plan.update]
    text = f"{how} {what} learn" + (", on states that are computed once" if stored else "")
    given = {"depth": depth, "update": update, **rates}
    asked = [name for name, value in given.items() if value is not None]
    return f"{text}; asked for: {', '.join(asked)}" if asked else text


def window_of(lengths: Sequence[int], most: int | None) -> int:
    """Tokens of a row: nearly all talks fit as they are, longer ones are cut.

    Args:
        lengths: tokens of each talk.
        most: of the network; None where it names none.
    """
    wanted = int(np.quantile(lengths, _WHOLE)) if len(lengths) else _LEAST
    wanted = -(-min(max(wanted, _LEAST), _MOST) // _GRID) * _GRID
    return wanted if most is None else min(wanted, most)


def has_room(tokens: int, width: int, free: int) -> bool:
    """Whether stored states fit the disk.

    Args:
        tokens: to be stored.
        width: numbers of each.
        free: bytes of the disk.
    """
    return tokens * width * _DIGITS < _DISK * free
