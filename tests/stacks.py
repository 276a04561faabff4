"""Tiny stacks and examples of every kind that the engine serves."""

import numpy as np
import torch
from torch import nn

from headstart.core.examples import Examples, from_arrays
from headstart.core.stack import Stack, State, on_h

KINDS = ("image", "text", "table", "policy", "music")
CLASSES = 3


class MaskedMean(nn.Module):
    """(b, t, d) with a mask (b, t) -> (b, d)."""

    def forward(self, state: State) -> State:
        weight = state["mask"].unsqueeze(-1).float()
        return {"h": (state["h"] * weight).sum(1) / weight.sum(1)}


class Layer(nn.Module):
    """A transformer layer that attends to unmasked positions only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(width, 2, 16, dropout=0.2, batch_first=True)

    def forward(self, state: State) -> State:
        return {**state, "h": self.layer(state["h"], src_key_padding_mask=~state["mask"])}


def make(kind: str) -> Stack:
    """The same weights at each call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "image":
            return Stack(
                {
                    "stem": on_h(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())),
                    "body": on_h(nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.ReLU())),
                    "pool": on_h(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())),
                    "head": on_h(nn.Linear(8, CLASSES)),
                }
            )
        if kind in ("text", "music"):
            return Stack(
                {
                    "embed": on_h(nn.Embedding(20, 8)),
                    "layer1": Layer(8),
                    "layer2": Layer(8),
                    "pool": MaskedMean(),
                    "head": on_h(nn.Linear(8, CLASSES)),
                }
            )
        width = {"table": 12, "policy": 5}[kind]
        return Stack(
            {
                "encode": on_h(nn.Sequential(nn.Linear(width, 16), nn.Tanh())),
                "trunk": on_h(nn.Sequential(nn.Linear(16, 16), nn.LayerNorm(16), nn.ReLU())),
                "head": on_h(nn.Linear(16, CLASSES)),
            }
        )


def examples(kind: str, n: int = 40) -> Examples:
    """The same examples at each call."""
    draw = np.random.default_rng(1)
    y = draw.integers(0, CLASSES, n)
    if kind == "image":
        return from_arrays(draw.normal(size=(n, 3, 8, 8)).astype("float32"), y)
    if kind in ("text", "music"):
        length = draw.integers(2, 7, n)
        return from_arrays({"h": draw.integers(0, 20, (n, 6)), "mask": np.arange(6) < length[:, None]}, y)
    return from_arrays(draw.normal(size=(n, {"table": 12, "policy": 5}[kind])).astype("float32"), y)


def depths() -> list[tuple[str, int]]:
    """Every kind at every depth."""
    return [(kind, depth) for kind in KINDS for depth in range(len(make(kind)) + 1)]
