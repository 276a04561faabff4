"""What enters the learning blocks of a language model, computed once for the store, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import transformers
from numpy.typing import NDArray

from headstart.core.evaluate import device_of, run_held
from headstart.core.examples import Arrays
from headstart.core.ragged import trimmed
from headstart.core.stack import Stack, State

_ROWS = 4  # of the store that are computed at a time
_HALF = 3e4  # hidden states beyond it have no room in 16 bits


class Below:
    """Blocks [0, cut) of a language model: a `core.feed.Prefix`.

    Args:
        stack: with the weights that `weights` names.
        cut: at least 1.
        weights: digest of the network.
        precision: of the arithmetic: float32 or bfloat16.
        sample: arrays of a few rows, on which it is seen whether 16 bits hold the states.
    """

    preparation = "tokens"  # the key of a row is of its tokens

    def __init__(self, stack: Stack, cut: int, weights: str, precision: str, sample: Arrays) -> None:
        self._stack, self.cut = stack, cut
        self.weights, self.precision = weights, precision
        self.engine = f"torch {torch.__version__} transformers {transformers.__version__}"
        self.store_dtype = "float16" if _largest(self._states(sample)) < _HALF else "float32"

    def __call__(self, arrays: Arrays) -> Mapping[str, Sequence[NDArray]]:
        """Rows as the stack reads them -> what crosses before block `cut`, and `mask`, without padding."""
        out: dict[str, list[NDArray]] = {}
        for start in range(0, len(arrays["ids"]), _ROWS):
            state = self._states({name: array[start : start + _ROWS] for name, array in arrays.items()})
            for name, rows in trimmed(state).items():
                out.setdefault(name, []).extend(rows)
        return out

    def _states(self, arrays: Arrays) -> State:
        if "doc" in arrays:  # an encoder-decoder narrows its two sides by itself
            longest = max(1, int((arrays["doc"] > 0).sum(1).max()))
            arrays = {name: array[:, :longest] for name, array in arrays.items()}
        with torch.autocast(device_of(self._stack).type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            state = run_held(self._stack, arrays, self.cut)
        if "doc" in state:
            state["mask"] = state["doc"] > 0
        return {
            name: (tensor.float() if tensor.is_floating_point() else tensor).cpu() for name, tensor in state.items()
        }


def _largest(state: State) -> float:
    return max(float(tensor.abs().max()) for tensor in state.values() if tensor.is_floating_point())
