"""Encoder-decoder language models of transformers (T5, BART and their kin) as a Stack, without rewriting their forward.

Stop and substitute, as for decoders, on two sides. A cut in the encoder keeps what enters a layer there, and the tokens
that the decoder has still to read; a cut in the decoder keeps what enters a layer, and what the encoder gave. Masks,
positions and relative biases are made by the network itself, never stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_outputs import BaseModelOutput

from headstart.core.stack import HEARD, State
from headstart.data.packing import NOTHING
from headstart.errors import DataError, SourceError
from headstart.sources.decoder import TOLERANCE, Head
from headstart.sources.layers import (
    Layered,
    config_of,
    entered_with,
    entering,
    first_states,
    leaves,
    masked_mean,
    passing,
    recomputed,
)
from headstart.sources.next_token import surprise


class AnswerHead(Head):
    """Hidden states of the decoder to logits; where the state says which token is `next`, to -log p of it in its place.

    Args:
        linear, tied: as of `Head`.
        bias: (1, v) that the network adds to its logits and does not learn; None for none.
    """

    def __init__(self, linear: nn.Linear, tied: bool, bias: Tensor | None) -> None:
        super().__init__(linear, tied, None)
        self.register_buffer("bias", None if bias is None else bias.flatten())

    def forward(self, state: State) -> State:
        """state["h"]: (b, t, d) -> (b, t, v) logits, or (b, T) nats with state["next"] (b, T), T at least t."""
        linear, h, bias = self._linear[0], state["h"], self.get_buffer("bias") if self.bias is not None else None
        weight = linear.weight if self.dtype is None else linear.weight.to(self.dtype)
        if "next" not in state:
            z = (h.to(weight.dtype) @ weight.T).float()
            return {**state, "h": z if bias is None else z + bias.float()}
        width = h.shape[1]
        # the padding of stored rows is 0, which is a token too
        y = state["next"][:, :width].long().masked_fill(~state["mask"][:, :width], NOTHING)
        each = surprise(h.flatten(0, 1), weight, y.flatten(), bias=bias).view(y.shape)
        return {**state, "h": F.pad(each, (0, state["next"].shape[1] - width))}


class Seq2Seq(Layered):
    """embed, encoder1..n, decoder1..m, head, over an encoder-decoder language model that stays as it is.

    The input state has `ids` (b, s) int64 of the document with `enc_mask` (b, s) bool, `told` (b, t) int64, what the
    decoder reads, with `told_mask` (b, t), and perhaps `next` (b, t): the token to be told at each place, NOTHING for
    none. Rows are padded on the right; more padding than the longest row needs is cut off first and costs nothing.

    Before a layer of the encoder `h` (b, s, d), `enc_mask`, `told` and `told_mask` cross, before one of the decoder
    `h` (b, t, d), `told_mask`, `enc` (b, s, d) and `enc_mask`, before the head `h`; with them `next`, as wide as it was
    given, and `mask` (b, w): the places that any of them needs, by which a store trims rows. So a row of `h` may be
    stored with padding, and what stands there is of no effect.

    The final norms ride with the last layer of their side. A relative bias that all layers of a side read belongs to
    the first of them: it is held where that one is, and learns where all its readers do. Parameters outside the layers
    belong to `embed`, which a tied head learns with.

    Args:
        network: a transformers encoder-decoder with a linear head over its tokens (`...ForConditionalGeneration`).
        cuts: blocks before which it may be cut, which are tried; None tries all.

    Raises:
        SourceError: no encoder, no single list of layers on a side, no linear head, or a cut at which split and unsplit
            outputs differ.
    """

    def __init__(self, network: nn.Module, cuts: Sequence[int] | None = None) -> None:
        sides, linear = _sides(network), _head(network)
        first, second = (_layers(side) for side in sides)
        norms = [[module for name, module in side.named_children() if name in _NORMS] for side in sides]
        tied = any(p is linear.weight for side in sides for p in side.parameters())
        taken = [*first, *second, *norms[0], *norms[1], *([] if tied else [linear])]
        beside = _once([module for module in leaves(network, taken) if module is not linear])
        bias = dict(network.named_buffers(recurse=False)).get("final_logits_bias")
        super().__init__(network, [*first, *second], beside, norms[1], AnswerHead(linear, tied, bias))
        self._encoder, self._encoders = (sides[0],), len(first)
        blocks = list(self.blocks.values())
        blocks[len(first)] = nn.ModuleList([first[-1], *norms[0]])
        names = [
            f"{side}{k}" for side, part in (("encoder", first), ("decoder", second)) for k in range(1, 1 + len(part))
        ]
        self.blocks = nn.ModuleDict(dict(zip(("embed", *names, "head"), blocks, strict=True)))
        self.proved(cuts)

    def proved(self, cuts: Sequence[int] | None = None) -> None:
        """Try these cuts, or all.

        Raises:
            SourceError: split and unsplit outputs differ.
        """
        state, network = _trial(self.vocabulary), self.network
        own = {"input_ids": state["ids"], "attention_mask": state["enc_mask"].long(), "use_cache": False}
        try:
            whole = partial(network, decoder_input_ids=state["told"], **own)
            self.prove(state, lambda: whole().logits.float(), len(self), TOLERANCE, cuts)
        except (AssertionError, RuntimeError, StopIteration, TypeError) as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise SourceError(
                f"{type(network).__name__} cannot be run in parts on two short rows ({why}); use a T5 or BART."
            ) from error

    @property
    def head(self) -> AnswerHead:
        """The last block."""
        return self.blocks["head"]  # pyright: ignore[reportReturnType]

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        return self.head._linear[0].weight.shape[0]

    @property
    def begin(self) -> int:
        """The token that the decoder reads first, before the first of an answer.

        Raises:
            SourceError: the configuration names none, as where it depends on the language that is written.
        """
        found = config_of(self.network).decoder_start_token_id
        if not isinstance(found, int):
            raise SourceError(
                f"the configuration of {type(self.network).__name__} says decoder_start_token_id={found}, where one "
                "token is needed; use a network that writes one language, such as a T5 or BART."
            )
        return found

    def there(self, state: State) -> Tensor:
        """(b, t) which places of state["h"] are tokens, before any block but the first."""
        return state["enc_mask"] if "told" in state else state.get("told_mask", state["mask"])

    def tap(self, state: State, cut: int) -> Tensor:
        """(b, d): the state before block `cut`, averaged over its tokens; before the decoder, what the encoder gave."""
        if cut == self._encoders + 1:
            return masked_mean(state["enc"], state["enc_mask"])
        return super().tap(state, cut)

    def through(self, state: State, start: int, stop: int) -> State:
        """Blocks [start, stop) of the network; start < stop < len(self)."""
        again = self._layers[max(start, 1) - 1 : stop - 1] if self.recompute and torch.is_grad_enabled() else ()
        with recomputed(again):
            return self._sides(self._narrow(state, start), start, stop)

    def _sides(self, state: State, start: int, stop: int) -> State:
        if start <= self._encoders:
            h = self._encoded(state, start, stop)
            if stop <= self._encoders:
                return _crossing({**state, "h": h}, ("h", "enc_mask", "told", "told_mask", "next"))
            state = {**state, "enc": h}
        state = {**state, "h": self._decoded(state, start, stop)}
        if stop < len(self) - 1:
            return _crossing(state, ("h", "told_mask", "enc", "enc_mask", "next"))
        return {"mask": state["told_mask"], **{name: state[name] for name in ("h", "next") if name in state}}

    def _encoded(self, state: State, start: int, stop: int) -> Tensor:
        """(b, s, d) what enters block `stop`, or the last of the encoder where that is beyond it."""
        given = {"inputs_embeds": state["h"]} if start else {"input_ids": state["ids"]}
        run = partial(self._encoder[0], attention_mask=state["enc_mask"].long(), **given)
        with _entered(self._layers[: self._encoders], start - 1, state.get("h"), self._arity):
            return entering(self._layers[stop - 1], run) if stop <= self._encoders else run()[0]

    def _decoded(self, state: State, start: int, stop: int) -> Tensor:
        """(b, t, d) what enters block `stop`."""
        at = start - 1 - self._encoders  # of the layer of the decoder that is entered; below 0: from its beginning
        given = {"decoder_input_ids": state["told"]} if at < 0 else {"decoder_inputs_embeds": state["h"]}
        enc = BaseModelOutput(last_hidden_state=state["enc"])  # pyright: ignore[reportArgumentType]
        run = partial(self.network, encoder_outputs=enc, attention_mask=state["enc_mask"].long(), use_cache=False)
        # the head is entered with what the network makes of the last hidden states: a tied T5 scales them
        target = self.head._linear[0] if stop == len(self) - 1 else self._layers[stop - 1]
        with _entered(self._layers[self._encoders :], at, state.get("h"), self._arity):
            return entering(target, partial(run, **given))

    def _narrow(self, state: State, start: int) -> State:
        """Each side as wide as its longest row."""
        if start == 0:
            for name in ("enc_mask", "told_mask"):
                _refuse_holes(state[name])
        s, t = (max(1, int(state[name].sum(1).max())) for name in ("enc_mask", "told_mask"))
        widths = {"ids": s, "enc": s, "enc_mask": s, "told": t, "told_mask": t}
        widths["h"] = s if start <= self._encoders else t
        return {name: tensor[:, : widths[name]] if name in widths else tensor for name, tensor in state.items()}

    def _hearing(self, state: State, start: int, stop: int, hear: Sequence[str]) -> State:
        # from one tap to the next: the two sides have other masks, and the encoder's output enters no layer as `h`
        heard: State = {}
        for cut in range(start + 1, stop + 1):
            wanted = self.names[cut - 1] in hear
            if wanted or cut == stop:
                state, start = self.through(state, start, cut), cut
            if wanted:
                heard[HEARD + self.names[cut - 1]] = self.tap(state, cut)
        return {**state, **heard}

    def _chosen(self, block: nn.Module, update: str) -> Iterator[nn.Parameter]:
        # the head of a language model is no new one: beside adapters or norms it stays as it came
        if block is self.blocks["head"] and self.update != "all":
            return iter(())
        tables = (module for module in block.modules() if "Sinusoidal" in type(module).__name__)
        fixed = {id(p) for table in tables for p in table.parameters()}  # computed, not learned
        return (p for p in super()._chosen(block, update) if id(p) not in fixed)


_NORMS = ("final_layer_norm", "layer_norm")  # what architectures call the norm after the layers of a side
_BIASED = "layer.0.SelfAttention"  # in a layer of a T5: in the first one, it makes the bias that all of its side read


def _sides(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    if not config_of(network).is_encoder_decoder:
        raise SourceError(f"{type(network).__name__} has no encoder and decoder; use a network such as a T5 or BART.")
    return network.get_encoder(), network.get_decoder()  # pyright: ignore[reportCallIssue, reportReturnType]


def _head(network: nn.Module) -> nn.Linear:
    found = network.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    if not isinstance(found, nn.Linear):
        raise SourceError(
            f"{type(network).__name__} has no linear head over its tokens; use a network that ends in "
            "ForConditionalGeneration."
        )
    return found


def _layers(side: nn.Module) -> list[nn.Module]:
    lists = [module for module in side.children() if isinstance(module, nn.ModuleList)]
    if len(lists) != 1 or not len(lists[0]):
        raise SourceError(
            f"{type(side).__name__} has {len(lists)} lists of layers that could be cut, where 1 with layers in it is "
            "needed; use another network."
        )
    return list(lists[0])


def _once(modules: Sequence[nn.Module]) -> list[nn.Module]:
    """Without those whose parameters all belong to earlier ones: one embedding under several names."""
    seen: set[int] = set()
    kept = []
    for module in modules:
        own = {id(p) for p in module.parameters()}
        if own - seen:
            kept.append(module)
        seen |= own
    return kept


def _trial(vocabulary: int) -> State:
    """Two padded rows, to try a network with."""
    draw = torch.Generator().manual_seed(0)
    ids, told = (torch.randint(0, vocabulary, (2, width), generator=draw) for width in (7, 5))
    lengths = {"enc_mask": torch.tensor([7, 4]), "told_mask": torch.tensor([3, 5])}
    masks = {name: torch.arange(int(most.max())) < most[:, None] for name, most in lengths.items()}
    return {"ids": ids, "told": told, **masks}


def _refuse_holes(mask: Tensor) -> None:
    if not bool((mask[:, 1:] <= mask[:, :-1]).all()):
        raise DataError("a mask with a hole or with padding on the left was given; pad each row on its right only.")


def _crossing(state: State, names: Sequence[str]) -> State:
    """These of the tensors, and `mask`: the places that either side needs."""
    one, two = state["enc_mask"], state["told_mask"]
    width = max(one.shape[1], two.shape[1])
    mask = F.pad(one, (0, width - one.shape[1])) | F.pad(two, (0, width - two.shape[1]))
    return {**{name: state[name] for name in names if name in state}, "mask": mask}


@contextmanager
def _entered(layers: Sequence[nn.Module], at: int, h: Tensor | None, arity: int) -> Iterator[None]:
    """Inside, `h` enters this layer of a side, and those below pass through what they are given; below 0, none does."""
    if at < 0 or h is None:
        yield
        return
    below = layers[:at]
    bias = _bias(below[0], h) if below and arity else None  # a UMT5 returns none: each layer has its own
    with passing(below, arity) if bias is None else _passing_on(below, bias), entered_with(layers[at], h):
        yield


def _bias(layer: nn.Module, h: Tensor) -> Tensor | None:
    """(1, heads, t, t) the relative bias that the first layer of a T5 makes for all layers of its side; else None."""
    attention: Any = dict(layer.named_modules()).get(_BIASED)
    return None if attention is None else attention.compute_bias(h.shape[1], h.shape[1], device=h.device)


@contextmanager
def _passing_on(layers: Sequence[nn.Module], bias: Tensor) -> Iterator[None]:
    """As `passing`, and the layers hand on a relative bias as those of a T5 do."""

    def forward(*args: Any, **named: Any) -> tuple[Tensor, Tensor, None]:
        return first_states(args, named), bias, None

    for layer in layers:
        layer.forward = forward
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own forward shows again
