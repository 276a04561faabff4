"""Any transformers encoder as a Stack, without rewriting its forward.

Stop and substitute: to run blocks [0, k) the network's own forward runs until layer k is entered, and what enters
is kept; to run blocks [k, n) the same forward runs on `inputs_embeds`, with the embeddings and earlier layers
passing their input through. Masks, rotary tables and relative biases are made by the network itself, never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from headstart.core.stack import State, on_h
from headstart.sources.layers import Layered, config_of, entering, layers_of, leaves, masked_mean, noting, passing

TOLERANCE = 1e-5


class Encoder(Layered):
    """embed, layer1..n, head, over a network that stays as it is.

    The input state has `ids` (b, t) int64 and `mask` (b, t); between blocks `h` (b, t, d) and `mask` cross; before the
    head `h` is (b, d), the mean over the mask, which rides with the last layer as a final norm does. Parameters
    outside the layers (embeddings, relative positions shared by all layers) belong to `embed`.

    Args:
        network: a transformers encoder with one list of layers that do not share weights.
        outputs: width of the new head.

    Raises:
        SourceError: no single list of layers, or a cut at which split and unsplit outputs differ.
    """

    def __init__(self, network: nn.Module, outputs: int) -> None:
        layers = layers_of(network)
        after = [module for name, module in network.named_children() if name in _NORMS]
        entry = [module for name, module in network.named_children() if name.startswith("embeddings")]
        shared = leaves(network, [*entry, *layers, *after])
        head = on_h(nn.Linear(config_of(network).hidden_size, outputs))
        super().__init__(network, layers, [*entry, *shared], after, head)
        self._entry = tuple(entry)
        vocabulary = self.vocabulary
        ids = torch.randint(min(5, vocabulary - 1), vocabulary, (2, 7), generator=torch.Generator().manual_seed(0))
        mask = torch.ones(2, 7, dtype=torch.bool)
        mask[1, 5:] = False
        whole = partial(self._pooled, mask, input_ids=ids)
        self.prove({"ids": ids, "mask": mask}, whole, len(self) - 1, TOLERANCE)

    @property
    def head_linear(self) -> nn.Linear:
        """The new head."""
        return self.blocks["head"].module  # pyright: ignore[reportReturnType]

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        return config_of(self.network).vocab_size

    def there(self, state: State) -> Tensor:
        """(b, t) the mask."""
        return state["mask"]

    def taps(self, state: State, cuts: Sequence[int]) -> list[Tensor]:
        """The pooled states before these blocks, in one pass.

        Args:
            cuts: ascending, 1..len(stack) - 1.
        """
        last, mask = len(self) - 1, state["mask"]
        inner = [self._layers[cut - 1] for cut in cuts if cut < last]
        with noting(inner) as kept:
            whole = self.network(input_ids=state["ids"], attention_mask=mask.long())[0]
        return [masked_mean(h, mask) for h in (*kept, *([whole] if last in cuts else []))]

    def through(self, state: State, start: int, stop: int) -> State:
        """Blocks [start, stop) of the network; start < stop < len(self)."""
        mask = state["mask"]
        given = {"input_ids": state["ids"]} if start == 0 else {"inputs_embeds": state["h"]}
        entry, below = ((), ()) if start == 0 else (self._entry, self._layers[: start - 1])
        with passing(entry, 0), passing(below, self._arity):
            if stop == len(self) - 1:
                return {"h": self._pooled(mask, **given)}
            run = partial(self.network, attention_mask=mask.long(), **given)
            return {"h": entering(self._layers[stop - 1], run), "mask": mask}

    def _pooled(self, mask: Tensor, **given: Tensor) -> Tensor:
        """(b, d) the network's own last output, averaged over the mask."""
        return masked_mean(self.network(attention_mask=mask.long(), **given)[0], mask)


_NORMS = ("final_norm", "norm")  # what architectures call a norm after the layers
