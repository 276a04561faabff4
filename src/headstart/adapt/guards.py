"""Guards of an earlier task as penalties on a tail that learns another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.old import Old
from headstart.adapt.probe import Outputs
from headstart.data.dataset import Dataset
from headstart.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.core.examples import Examples
    from headstart.core.step import Penalty
    from headstart.retain.old_head import OldHead
    from headstart.sources.load import Pretrained

MIX = "mix"
GUARDS = ("l2sp", "ewc", "lwf", "replay", "der", MIX)
STRENGTH = 1.0  # of each guard where none is given
_OF_THE_HEAD = ("ewc", "lwf", "replay", "der")  # guards that need an old head
_OF_THE_DATA = ("replay", "der")  # guards that need data of the old task
_BASE = {"l2sp": 1e-2, "ewc": 1e2, "lwf": 1.0, "replay": 1.0, "der": 1.0}  # weight of the penalty at strength 1
KEPT = "kept"  # name of the set of old rows that penalties draw from
_ROWS = 500  # old rows that are kept for guards, at most
_FISHER = 200  # rows that the Fisher information is taken over, at most

Rows = NDArray[np.int64]


def known_guard(name: str, old: Old | None, source: str) -> None:
    """Refuse a guard that there is not, or that lacks what it needs.

    Args:
        source: name of the network, for the message.

    Raises:
        UsageError: it does.
    """
    if name not in GUARDS:
        raise UsageError(f"guard {name!r} is unknown; use one of {', '.join(GUARDS)}.")
    if name in _OF_THE_HEAD and old is None:
        raise UsageError(
            f"guard {name} keeps the answers of an earlier head and {source} has none; give data of the old task with "
            "--keep, start from a skill (--source skill:PATH), or use --guard l2sp."
        )
    if name in _OF_THE_DATA and (old is None or old.features is None):
        raise UsageError(f"guard {name} learns from rows of the old task; give them with --keep, or use --guard lwf.")


@dataclass(frozen=True, eq=False)
class Guard:
    """One guard at one strength, for a tail that learns from some rows.

    Attributes:
        name: one of GUARDS but mix, which acts after training.
        strength: at least 0; at 0 training is plain.
        old: the earlier task; needed by all but l2sp.
        features: of the data that the tail learns from.
        rows: of that data.
        cache: of tokenizers.
        seed: of what is drawn.
    """

    name: str
    strength: float
    old: Old | None
    features: Outputs
    rows: Rows
    cache: Path
    seed: int = 0

    def made(
        self, stack: Pretrained, examples: Examples, depth: int
    ) -> tuple[tuple[Penalty, ...], dict[str, Examples]]:
        """Penalties for the loop, and the sets that they draw from.

        Args:
            stack: as it is before training.
            examples: that the loop will run on.
        """
        weight = self.strength * _BASE[self.name]
        if not weight:
            return (), {}
        from headstart.retain.ewc import EWC, fisher
        from headstart.retain.l2sp import L2SP
        from headstart.retain.lwf import LwF
        from headstart.retain.replay import Replay

        if self.name == "l2sp":
            return (L2SP(stack, depth, weight),), {}
        assert self.old is not None
        data = self.features.data.take(self.rows)
        if self.name == "lwf":
            owner = _owners(examples, data)
            scores = self.old.head.scores(self.features.matrix(self.rows, self.old.taps))
            head = self._head(stack, depth, self.features, self.rows, owner)
            return (LwF(_tensor(scores[owner]), head, weight),), {}
        kept = self._kept()
        if self.name == "ewc":
            features, rows = (self.old.features, kept) if len(kept) else (self.features, self.rows)
            few = np.sort(np.random.default_rng([self.seed, 6]).permutation(len(rows))[:_FISHER])
            some, owner = self._examples(features, rows[few])
            head = self._head(stack, depth, features, rows[few], owner)
            return (EWC(fisher(stack, some, head, depth, seed=self.seed), stack, weight),), {}
        assert self.old.features is not None
        sample, owner = self._examples(self.old.features, kept, self.old.y(kept))
        head = self._head(stack, depth, self.old.features, kept, owner)
        logits, alpha = None, 0.0
        if self.name == "der":
            scores = self.old.head.scores(self.old.features.matrix(kept, self.old.taps))
            logits, alpha = _tensor(scores[owner] / self.old.head.temperature), weight
        return (Replay(head, KEPT, weight, logits, alpha),), {KEPT: sample}

    def _kept(self) -> Rows:
        """Rows of the old data that guards learn from: of classes as many each as can be."""
        from headstart.retain.sample import balanced, reservoir

        old = self.old
        if old is None or old.features is None or not len(old.learn):
            return np.empty(0, np.int64)
        y = old.y(old.learn)
        few = balanced(y, _ROWS, seed=self.seed) if y.ndim == 1 else reservoir(len(y), _ROWS, seed=self.seed)
        return old.learn[few]

    def _examples(self, features: Outputs | None, rows: Rows, y: NDArray | None = None) -> tuple[Examples, Rows]:
        from headstart.adapt.inputs import examples_of

        assert features is not None
        data = features.data.take(rows)
        examples = examples_of(data, y, features.held.card, self.cache, threads=features.held.threads)
        return examples, _owners(examples, data)

    def _head(self, stack: Pretrained, depth: int, features: Outputs | None, rows: Rows, owner: Rows) -> OldHead:
        """The old head on a set of examples: what held blocks give it is known beforehand."""
        from headstart.retain.old_head import OldHead

        assert self.old is not None
        assert features is not None
        names, widths = stack.names[:-1], features.taps
        held = {
            tap: _tensor(features.matrix(rows, (tap,))[owner])
            for tap in self.old.taps
            if names.index(tap) < stack.cut(depth)
        }
        return OldHead(self.old.head, {tap: widths[tap] for tap in self.old.taps}, held)


def _owners(examples: Examples, data: Dataset) -> Rows:
    """For each example the row of the data that it is of: a text may be several."""
    place: Mapping[str, int] = {key: row for row, key in enumerate(data.keys)}
    return np.array([place[key.partition(":")[0]] for key in examples.keys], np.int64)


def _tensor(values: NDArray) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
