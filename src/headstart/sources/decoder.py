"""Any transformers language model as a Stack, without rewriting its forward.

Stop and substitute, as for encoders: to run blocks [0, k) the network's own forward runs until layer k is entered; to
run blocks [k, n) the same forward runs with earlier layers passing their input through, and what was kept enters there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from headstart.core.stack import State
from headstart.data.packing import NOTHING
from headstart.errors import SourceError
from headstart.sources.attention import install
from headstart.sources.layers import Layered, config_of, entered_with, entering, layers_of, leaves, passing, recomputed
from headstart.sources.next_token import surprise

TOLERANCE = 1e-4


class Head(nn.Module):
    """Hidden states to logits; where the state says which token is `next`, to -log p of it in its place.

    Args:
        linear: of the network. Where its weight is that of the embedding it is not a parameter of this block too: it
            learns where the embedding does.
        tied: whether it is.
        cap: of the logits, for networks that bend them by tanh.
    """

    def __init__(self, linear: nn.Linear, tied: bool, cap: float | None) -> None:
        super().__init__()
        self._linear = (linear,)  # in a tuple: not registered
        if not tied:
            self.linear = linear
        self.cap = cap
        self.dtype: torch.dtype | None = None  # of its products; None takes that of the weight

    def forward(self, state: State) -> State:
        """state["h"]: (b, t, d) -> (b, t, v) logits, or (b, t) nats with state["next"] (b, t)."""
        linear, h = self._linear[0], state["h"]
        weight = linear.weight if self.dtype is None else linear.weight.to(self.dtype)
        if "next" in state:
            y = state["next"].long()
            each = surprise(h.flatten(0, 1), weight, y.flatten(), bias=linear.bias, cap=self.cap)
            return {**state, "h": each.view(y.shape)}
        z = (h.to(weight.dtype) @ weight.T).float()
        z = z if linear.bias is None else z + linear.bias.float()
        return {**state, "h": z if self.cap is None else self.cap * torch.tanh(z / self.cap)}


class Decoder(Layered):
    """embed, layer1..n, head, over a language model that stays as it is.

    The input state has `ids` (b, t) int64 and `doc` (b, t) int64: tokens of one document see each other backwards and
    those of another not at all, its positions count from 0, and 0 is padding. Between blocks `h` (b, t, d) and `doc`
    cross, and `next` (b, t) where the input has it: the token to be told at each place, NOTHING for none. The final
    norm rides with the last layer; parameters outside the layers belong to `embed`, which a tied head learns with.

    Args:
        network: a transformers causal language model with one list of layers that do not share weights.
        cuts: blocks before which it may be cut, which are tried; None tries all.

    Raises:
        SourceError: no single list of layers, no linear head, or a cut at which split and unsplit outputs differ.
    """

    def __init__(self, network: nn.Module, cuts: Sequence[int] | None = None) -> None:
        body, linear = _body(network), _head(network)
        layers = layers_of(body)
        after = [module for name, module in body.named_children() if name in _NORMS]
        tied = any(p is linear.weight for p in body.parameters())
        head = Head(linear, tied, getattr(config_of(body), "final_logit_softcapping", None))
        super().__init__(network, layers, leaves(body, [*layers, *after]), after, head)
        self._body = (body,)
        install(network)
        self.proved(cuts)

    def proved(self, cuts: Sequence[int] | None = None) -> None:
        """Try these cuts, or all.

        Raises:
            SourceError: split and unsplit outputs differ.
        """
        ids = torch.randint(0, self.vocabulary, (2, 7), generator=torch.Generator().manual_seed(0))
        state = {"ids": ids, "doc": torch.tensor([[1] * 7, [1, 1, 1, 2, 2, 2, 2]])}
        self.prove(state, partial(self._apart, ids), len(self), TOLERANCE, cuts)

    @property
    def head(self) -> Head:
        """The last block."""
        return self.blocks["head"]  # pyright: ignore[reportReturnType]

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        return self.head._linear[0].weight.shape[0]

    def there(self, state: State) -> Tensor:
        """(b, t) what is no padding."""
        return state["doc"] > 0

    def _chosen(self, block: nn.Module, update: str) -> Iterator[nn.Parameter]:
        # the head of a language model is no new one: beside adapters or norms it stays as it came
        if block is self.blocks["head"] and self.update != "all":
            return iter(())
        return super()._chosen(block, update)

    def through(self, state: State, start: int, stop: int) -> State:
        """Blocks [start, stop) of the network; start < stop < len(self). Learning leaves out shared padding."""
        if self.training:
            longest = max(1, int((state["doc"] > 0).sum(1).max()))
            state = {name: tensor[:, :longest] for name, tensor in state.items()}
        crossing = {name: state[name] for name in ("doc", "next") if name in state}
        if "next" in crossing:  # padding of stored rows is 0, which is a token too
            crossing["next"] = crossing["next"].masked_fill(state["doc"] == 0, NOTHING)
        run = partial(_run, self._body[0], state["doc"])
        again = self._layers[max(start, 1) - 1 : stop - 1] if self.recompute and torch.is_grad_enabled() else ()
        with recomputed(again):
            if start == 0:
                return {**crossing, "h": self._until(stop, partial(run, input_ids=state["ids"]))}
            h = state["h"].to(next(self._layers[start - 1].parameters()).dtype)  # held weights may be halved
            with passing(self._layers[: start - 1], self._arity), entered_with(self._layers[start - 1], h):
                return {**crossing, "h": self._until(stop, partial(run, inputs_embeds=h))}

    def _until(self, stop: int, run: partial[Tensor]) -> Tensor:
        return run() if stop == len(self) - 1 else entering(self._layers[stop - 1], run)

    def _apart(self, ids: Tensor) -> Tensor:
        """(2, 7, v) logits of the network by itself: the second row is two documents."""
        parts = (ids[:1], ids[1:, :3], ids[1:, 3:])
        one, *two = [self.network(input_ids=part, use_cache=False).logits for part in parts]
        return torch.cat([one, torch.cat(two, 1)]).float()


_NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")  # what architectures call the norm after the layers


def _body(network: nn.Module) -> nn.Module:
    """The network without its head."""
    return network.base_model  # pyright: ignore[reportReturnType]


def _head(network: nn.Module) -> nn.Linear:
    found = network.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    if not isinstance(found, nn.Linear):
        raise SourceError(f"{type(network).__name__} has no linear head over its tokens; use a causal language model.")
    return found


def _run(body: nn.Module, doc: Tensor, **given: Tensor) -> Tensor:
    """(b, t, d) the last hidden states, documents apart from each other."""
    place = torch.arange(doc.shape[1], device=doc.device)
    begins = torch.ones_like(doc, dtype=torch.bool)
    begins[:, 1:] = doc[:, 1:] != doc[:, :-1]
    positions = place - torch.where(begins, place, 0).cummax(1).values
    seen = (doc[:, :, None] == doc[:, None, :]) & (place[None, :, None] >= place[None, None, :])
    return body(attention_mask=_as_added(seen, body), position_ids=positions, use_cache=False, **given)[0]


def _as_added(seen: Tensor, body: nn.Module) -> Tensor:
    """(b, 1, t, t) what is added to the attention's scores: 0 where a token is seen."""
    dtype = next(body.parameters()).dtype
    return torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype).unsqueeze(1)
