"""Any transformers encoder as a Stack, without rewriting its forward.

Stop and substitute: to run blocks [0, k) the network's own forward runs until layer k is entered, and what enters
is kept; to run blocks [k, n) the same forward runs on `inputs_embeds`, with the embeddings and earlier layers
passing their input through. Masks, rotary tables and relative biases are made by the network itself, never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from headstart.core.stack import HEARD, Stack, State, on_h
from headstart.errors import SourceError
from headstart.sources.layers import config_of, entering, layers_of, masked_mean, noting, passing

TOLERANCE = 1e-5


class Encoder(Stack):
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
        width = config_of(network).hidden_size
        after = _modules_after(network)
        entry = [module for name, module in network.named_children() if name.startswith("embeddings")]
        taken = {id(p) for module in (*entry, *layers, *after) for p in module.parameters()}
        shared = [module for module in network.modules() if _owns_untaken(module, taken)]
        blocks: dict[str, nn.Module] = {"embed": nn.ModuleList([*entry, *shared])}
        for index, layer in enumerate(layers, 1):
            blocks[f"layer{index}"] = nn.ModuleList([layer, *(after if index == len(layers) else [])])
        super().__init__({**blocks, "head": on_h(nn.Linear(width, outputs))})
        self._network = (network,)  # in a tuple: its parameters are registered once, through the blocks
        self._layers = tuple(layers)
        self._entry = tuple(entry)
        self._arity = 0  # what a layer returns: 0 a tensor, n a tuple of n
        self._prove()

    @property
    def head_linear(self) -> nn.Linear:
        """The new head."""
        return self.blocks["head"].module  # pyright: ignore[reportReturnType]

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        return config_of(self._network[0]).vocab_size

    def forward(self, state: State, start: int = 0, stop: int | None = None, hear: Sequence[str] = ()) -> State:
        """Run blocks [start, stop)."""
        last = len(self) - 1
        end = len(self) if stop is None else stop
        if start < min(end, last):
            state = self._hearing(state, start, min(end, last), hear)
        return super().forward(state, max(start, last), max(end, last))

    def _hearing(self, state: State, start: int, stop: int, hear: Sequence[str]) -> State:
        cuts = [cut for cut in range(start + 1, stop) if self.names[cut - 1] in hear]
        with noting([self._layers[cut - 1] for cut in cuts]) as kept:
            out = self._through(state, start, stop)
        heard = {HEARD + self.names[cut - 1]: masked_mean(h, state["mask"]) for cut, h in zip(cuts, kept, strict=True)}
        if self.names[stop - 1] in hear:
            heard[HEARD + self.names[stop - 1]] = self.tap(out, stop)
        return {**out, **heard}

    def train(self, mode: bool = True) -> Encoder:
        """Set training mode of the learning blocks; held blocks stay in evaluation mode."""
        # what lies between the blocks (a dropout beside the layers) wakes only when the whole network learns
        self._network[0].train(mode and self.depth == len(self))
        super().train(mode)
        return self

    def tap(self, state: State, cut: int) -> Tensor:
        """(b, d): the state before block `cut`, averaged over the mask where it is not pooled yet."""
        return state["h"] if cut == len(self) - 1 else masked_mean(state["h"], state["mask"])

    def taps(self, state: State, cuts: Sequence[int]) -> list[Tensor]:
        """The pooled states before these blocks, in one pass.

        Args:
            cuts: ascending, 1..len(stack) - 1.
        """
        network, last, mask = self._network[0], len(self) - 1, state["mask"]
        inner = [self._layers[cut - 1] for cut in cuts if cut < last]
        with noting(inner) as kept:
            whole = network(input_ids=state["ids"], attention_mask=mask.long())[0]
        return [masked_mean(h, mask) for h in (*kept, *([whole] if last in cuts else []))]

    def _through(self, state: State, start: int, stop: int) -> State:
        """Blocks [start, stop) of the network; start < stop < len(self)."""
        network, mask = self._network[0], state["mask"]
        given = {"input_ids": state["ids"]} if start == 0 else {"inputs_embeds": state["h"]}
        entry, below = ((), ()) if start == 0 else (self._entry, self._layers[: start - 1])
        with passing(entry, 0), passing(below, self._arity):
            if stop == len(self) - 1:
                return {"h": masked_mean(network(attention_mask=mask.long(), **given)[0], mask)}
            run = partial(network, attention_mask=mask.long(), **given)
            return {"h": entering(self._layers[stop - 1], run), "mask": mask}

    def _note_arity(self, _: nn.Module, args: tuple[Any, ...], out: object) -> None:
        self._arity = len(out) if isinstance(out, tuple) else 0

    def _prove(self) -> None:
        """Run every cut once and compare with the network itself: a hidden second path shows here."""
        network = self._network[0]
        training = self.training
        self.eval()
        vocabulary = config_of(network).vocab_size
        ids = torch.randint(min(5, vocabulary - 1), vocabulary, (2, 7), generator=torch.Generator().manual_seed(0))
        mask = torch.ones(2, 7, dtype=torch.bool)
        mask[1, 5:] = False
        with torch.no_grad():
            hook = self._layers[0].register_forward_hook(self._note_arity)
            want = masked_mean(network(input_ids=ids, attention_mask=mask.long())[0], mask)
            hook.remove()
            for cut in range(len(self)):
                state = self({"ids": ids, "mask": mask}, stop=cut)
                got = self(state, start=cut, stop=len(self) - 1)["h"]
                if not torch.allclose(got, want, atol=TOLERANCE):
                    raise SourceError(
                        f"{type(network).__name__} cut before block {cut} differs by {(got - want).abs().max():.1e} "
                        f"from the uncut network, more than {TOLERANCE}; use another network, or depth 1 only."
                    )
        self.train(training)


def _modules_after(network: nn.Module) -> list[nn.Module]:
    """A final norm beside the layers, where the architecture has one."""
    return [m for name, m in network.named_children() if name in ("final_norm", "norm")]


def _owns_untaken(module: nn.Module, taken: set[int]) -> bool:
    """Whether a leaf module has parameters of its own that no other block took: relative positions, a pooler."""
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(True for _ in module.children()) and all(id(p) not in taken for p in own)
