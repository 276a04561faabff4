"""The same rows through a network again and again, while the weights of its last blocks change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.adapt.inputs import pictures_of, texts_of
from headstart.adapt.probe import Outputs
from headstart.adapt.states import Before
from headstart.core.evaluate import device_of, evaluating
from headstart.core.examples import Examples
from headstart.core.feed import Feed, feed
from headstart.core.stack import HEARD
from headstart.core.store import Store
from headstart.data.tokens import Chunks
from headstart.sources.load import Pretrained

_BATCH = 32

Rows = NDArray[np.int64]


class Following:
    """Pooled outputs of rows, those of held blocks computed once.

    Args:
        features: of the data, as the pretrained network gives them.
        rows: of the data.
        taps: whose outputs are followed, side by side in this order.
        stack: the network, in any state: its held blocks do not change.
        depth: blocks that learn.
        cache: of stored activations.
        precision: of the learning blocks' arithmetic, float32 or bfloat16.
    """

    def __init__(
        self,
        features: Outputs,
        rows: Rows,
        taps: Sequence[str],
        stack: Pretrained,
        depth: int,
        cache: Path,
        *,
        precision: str = "float32",
    ) -> None:
        self.cut, self.taps, self.precision = stack.cut(depth), tuple(taps), precision
        names = stack.names[:-1]
        self._live = tuple(tap for tap in taps if names.index(tap) >= self.cut)
        self._held = {tap: features.matrix(rows, (tap,)) for tap in taps if tap not in self._live}
        data, card, threads = features.data.take(rows), features.held.card, features.held.threads
        self._chunks: Chunks | None = None
        if data.modality == "text":
            examples, self._chunks = texts_of(data, card, cache)
        else:
            examples = pictures_of(data, card, threads=threads)
        self._feed = self._fed(stack, examples, features, cache)

    def _fed(self, stack: Pretrained, examples: Examples, features: Outputs, cache: Path) -> Feed:
        if features.data.modality != "image" or not self.cut:
            return feed(stack, examples, self.cut)
        card, threads = features.held.card, features.held.threads
        return feed(
            stack, examples, self.cut, Store(cache / "store"), Before(stack, card, self.cut, cache, threads=threads)
        )

    def __call__(self, stack: Pretrained) -> NDArray[np.float32]:
        """(rows, sum of widths) what the followed taps give with the weights that the stack has now."""
        live = self._read(stack) if self._live else {}
        return np.concatenate([live[tap] if tap in live else self._held[tap] for tap in self.taps], axis=1)

    def _read(self, stack: Pretrained) -> dict[str, NDArray]:
        n, last, draw = len(self._feed.data), len(stack) - 1, np.random.default_rng(0)
        lengths = self._feed.data.lengths
        order = np.arange(n) if lengths is None else np.argsort(-lengths, kind="stable")
        out: dict[str, NDArray] = {}
        autocast = torch.autocast(device_of(stack).type, torch.bfloat16, enabled=self.precision == "bfloat16")
        with evaluating(self._feed.stack), evaluating(stack), torch.no_grad(), autocast:
            for start in range(0, n, _BATCH):
                rows = order[start : start + _BATCH]
                state = stack(self._feed(rows, draw).state, start=self.cut, stop=last, hear=self._live)
                for tap in self._live:
                    values = state[HEARD + tap].float().cpu().numpy()
                    out.setdefault(tap, np.empty((n, values.shape[1]), np.float32))[rows] = values
        return out if self._chunks is None else {tap: self._chunks.pooled(values) for tap, values in out.items()}
