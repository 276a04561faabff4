"""Everything that decides a training run, and what a run was."""

from __future__ import annotations

import math
from dataclasses import dataclass

from headstart.errors import PlanError

UPDATES = ("all", "norms", "lora")


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run; equal plans on equal data give equal weights on one machine.

    Attributes:
        depth: number of blocks that learn, counted from the head.
        epochs: passes over the data, at least 0.
        lr: learning rate of the head, above 0.
        lr_decay: factor per block below the head, in (0, 1]; 1 is the same everywhere.
        batch: examples per step, at least 1.
        weight_decay: decoupled (AdamW), at least 0.
        schedule: constant, or linear: up over the first tenth of the steps, then down to 0.
        precision: of the learning blocks' arithmetic, float32 or bfloat16 (autocast; the weights stay float32).
        seed: of every random draw of the run.
        update: what learns below the head inside the blocks that learn: all, norms (scales, shifts and statistics of
            norms alone) or lora (adapters alone; see `adapt.lora`).

    Raises:
        PlanError: a number outside its range.
    """

    depth: int
    epochs: int = 10
    lr: float = 1e-3
    lr_decay: float = 1.0
    batch: int = 32
    weight_decay: float = 0.0
    schedule: str = "constant"
    precision: str = "float32"
    seed: int = 0
    update: str = "all"

    def __post_init__(self) -> None:
        positive = "a finite number above 0"
        rules = {
            "epochs": (self.epochs >= 0, "a whole number from 0 up", "10"),
            "lr": (math.isfinite(self.lr) and self.lr > 0, positive, "1e-3"),
            "lr_decay": (0 < self.lr_decay <= 1, "a number above 0 and at most 1", "1.0"),
            "batch": (self.batch >= 1, "a whole number from 1 up", "32"),
            "weight_decay": (math.isfinite(self.weight_decay) and self.weight_decay >= 0, "0 or above", "0"),
            "schedule": (self.schedule in ("constant", "linear"), "constant or linear", "linear"),
            "update": (self.update in UPDATES, " or ".join(UPDATES), "all"),
            "precision": (self.precision in ("float32", "bfloat16"), "float32 or bfloat16", "float32"),
        }
        for name, (holds, allowed, start) in rules.items():
            if not holds:
                raise PlanError(f"{name}={getattr(self, name)} must be {allowed}; start from {start}.")

    def rate(self, step: int, steps: int) -> float:
        """Factor on the learning rates at a step of 0..steps-1, in (0, 1]."""
        if self.schedule == "constant":
            return 1.0
        warm = max(1, steps // 10)
        return min((step + 1) / warm, (steps - step) / max(1, steps - warm), 1.0)


@dataclass(frozen=True)
class Run:
    """What a fit did: the numbers that a report needs, without the weights.

    Attributes:
        plan: what was asked for.
        losses: mean task loss of each epoch, penalties left out.
        learned: parameters that could move.
        held: parameters that could not.
        stored: whether the held blocks' outputs came from a store.
        pieces: that a batch was divided into for want of memory; 1 is none.
        resumed: steps that an earlier run had done already.
    """

    plan: Plan
    losses: tuple[float, ...]
    learned: int
    held: int
    stored: bool
    pieces: int = 1
    resumed: int = 0
