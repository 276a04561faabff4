"""Old heads, kept rows and steps of training for the tests of guards against forgetting."""

from dataclasses import replace

import numpy as np
import torch
from stacks import examples

from headstart.core.step import Drawn, Passed, Step
from headstart.heads.linear import Linear
from headstart.retain.old_head import OldHead

TAPS = {
    "image": {"stem": 8, "pool": 8},
    "text": {"layer1": 8, "pool": 8},
    "music": {"embed": 8, "pool": 8},
    "table": {"encode": 16, "trunk": 16},
    "policy": {"trunk": 16},
}


def linear(d, c=4, task="classes", seed=0, limit=1.5):
    draw = np.random.default_rng(seed)
    parts = [draw.normal(size=d), draw.uniform(0.5, 2, d), draw.normal(size=(d, c)), draw.normal(size=c)]
    return Linear(*(part.astype("float32") for part in parts), 1.7, task, limit)


def old_head(kind, held=None, task="classes"):
    return OldHead(linear(sum(TAPS[kind].values()), task=task), TAPS[kind], held)


def kept(kind, n=12):
    """Rows of an earlier task, whose targets are those of its own head."""
    data = examples(kind, n)
    return replace(data, y=np.arange(n) % 3)


def step_of(stack, rows, side=None, data=None, hear=()):
    """What a penalty would see of these rows."""
    data = data or examples("table")

    def through(state):
        passed = stack(state, stop=len(stack) - 1, hear=hear)
        taps = {name: passed[f"tap.{name}"] for name in hear}
        return Passed(passed["h"], stack(passed, start=len(stack) - 1)["h"], taps)

    def read(of, rows):
        y = None if of.y is None else torch.from_numpy(of.y[rows])
        return Drawn({name: torch.from_numpy(x) for name, x in of.read(rows).items()}, y, rows)

    given = read(data, rows)
    passed = through(given.state)
    return Step(
        stack, given.state, passed.out, given.y, rows, passed.features, passed.taps,
        lambda name: read(*side), through, 0.0,
    )  # fmt: skip


def moved(stack, by=0.1, seed=3):
    with torch.no_grad():
        draw = torch.Generator().manual_seed(seed)
        for p in stack.parameters():
            p += by * torch.randn(p.shape, generator=draw)
    return stack
