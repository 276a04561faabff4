"""Networks of transformers, cut at their layers: what enters a layer is kept, replaced, or passed through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PretrainedConfig

from headstart.core.stack import HEARD, Stack, State
from headstart.errors import SourceError


class Layered(Stack):
    """embed, layer1..n, head, over a network that stays as it is; how it runs is said by those that inherit.

    Args:
        network: of transformers.
        layers: its layers.
        beside: modules of the block `embed`.
        after: modules that ride with the last layer.
        head: the last block.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[nn.Module],
        beside: Sequence[nn.Module],
        after: Sequence[nn.Module],
        head: nn.Module,
    ) -> None:
        blocks: dict[str, nn.Module] = {"embed": nn.ModuleList(beside)}
        for index, layer in enumerate(layers, 1):
            blocks[f"layer{index}"] = nn.ModuleList([layer, *(after if index == len(layers) else [])])
        super().__init__({**blocks, "head": head})
        self._network = (network,)  # in a tuple: its parameters are registered once, through the blocks
        self._layers = tuple(layers)
        self._arity = 0  # what a layer returns: 0 a tensor, n a tuple of n
        self.recompute = False  # whether layers run again for their gradients, rather than keep what those need

    @property
    def network(self) -> nn.Module:
        """The network itself, whose parameters these blocks hold."""
        return self._network[0]

    def there(self, state: State) -> Tensor:
        """(b, t) which places of a state are tokens."""
        raise NotImplementedError

    def through(self, state: State, start: int, stop: int) -> State:
        """Blocks [start, stop) of the network; start < stop < len(self)."""
        raise NotImplementedError

    def forward(self, state: State, start: int = 0, stop: int | None = None, hear: Sequence[str] = ()) -> State:
        """Run blocks [start, stop)."""
        last = len(self) - 1
        end = len(self) if stop is None else stop
        if start < min(end, last):
            state = self._hearing(state, start, min(end, last), hear)
        return super().forward(state, max(start, last), max(end, last))

    def train(self, mode: bool = True) -> Layered:
        """Set training mode of the learning blocks; held blocks stay in evaluation mode."""
        # what lies between the blocks (a dropout beside the layers) wakes only when the whole network learns
        self.network.train(mode and self.depth == len(self))
        super().train(mode)
        return self

    def tap(self, state: State, cut: int) -> Tensor:
        """(b, d): the state before block `cut`, averaged over the tokens where it is not pooled yet."""
        return state["h"] if state["h"].ndim == 2 else masked_mean(state["h"], self.there(state))

    def _hearing(self, state: State, start: int, stop: int, hear: Sequence[str]) -> State:
        cuts = [cut for cut in range(start + 1, stop) if self.names[cut - 1] in hear]
        there = self.there(state)
        with noting([self._layers[cut - 1] for cut in cuts]) as kept:
            out = self.through(state, start, stop)
        heard = {HEARD + self.names[cut - 1]: masked_mean(h, there) for cut, h in zip(cuts, kept, strict=True)}
        if self.names[stop - 1] in hear:
            heard[HEARD + self.names[stop - 1]] = self.tap(out, stop)
        return {**out, **heard}

    def prove(
        self,
        state: State,
        want: Callable[[], Tensor],
        stop: int,
        tolerance: float,
        cuts: Sequence[int] | None = None,
    ) -> None:
        """Run every cut once, or these, and compare with the network itself: a hidden second path shows here.

        Args:
            state: input of the first block.
            want: what the network gives for it by itself.
            stop: the block before which the two are compared; len(self) is after the last one.
            tolerance: absolute, and of each value.
            cuts: blocks before which it is cut.

        Raises:
            SourceError: a cut at which they differ.
        """
        training = self.training
        self.eval()
        with torch.no_grad():
            hook = self._layers[0].register_forward_hook(self._note_arity)
            whole = want()
            hook.remove()
            for cut in range(len(self)) if cuts is None else cuts:
                got = self(self(state, stop=cut), start=cut, stop=stop)["h"]
                if not torch.allclose(got, whole, atol=tolerance, rtol=tolerance):
                    raise SourceError(
                        f"{type(self.network).__name__} cut before block {cut} differs by "
                        f"{(got - whole).abs().max():.1e} from the uncut network, more than {tolerance}; use another "
                        "network."
                    )
        self.train(training)

    def _note_arity(self, _: nn.Module, args: tuple[Any, ...], out: object) -> None:
        self._arity = len(out) if isinstance(out, tuple) else 0


class _Stopped(Exception):
    def __init__(self, h: Tensor) -> None:
        self.h = h


def config_of(network: nn.Module) -> PretrainedConfig:
    """The configuration that every transformers network has."""
    config = network.config
    assert isinstance(config, PretrainedConfig)
    return config


def layers_of(network: nn.Module) -> Sequence[nn.Module]:
    """The one list of layers that a network can be cut at.

    Raises:
        SourceError: it has none, or several.
    """
    count = config_of(network).num_hidden_layers
    lists = [m for m in network.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if len(lists) != 1:
        raise SourceError(
            f"{type(network).__name__} has {len(lists)} lists of layers that could be cut, where 1 is needed "
            "(an ALBERT shares one layer and has none); use another network."
        )
    return list(lists[0])


def leaves(network: nn.Module, taken: Sequence[nn.Module]) -> list[nn.Module]:
    """Leaf modules with parameters that none of these modules has: embeddings, relative positions, a pooler."""
    there = {id(p) for module in taken for p in module.parameters()}

    def is_left(module: nn.Module) -> bool:
        own = list(module.parameters(recurse=False))
        return bool(own) and not any(True for _ in module.children()) and all(id(p) not in there for p in own)

    return [module for module in network.modules() if is_left(module)]


def masked_mean(h: Tensor, mask: Tensor) -> Tensor:
    """(b, t, d) with a mask (b, t) -> (b, d): mean over the unmasked positions."""
    weight = mask.unsqueeze(-1).float()  # a sum over many tokens needs more digits than bfloat16 has
    return (h * weight).sum(1) / weight.sum(1).clamp_min(1)


def entering(layer: nn.Module, run: Callable[[], object]) -> Tensor:
    """The hidden states that enter a layer; what comes after it is not run.

    Args:
        run: the network's forward.

    Raises:
        SourceError: the layer is never entered.
    """

    def stop(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        raise _Stopped(first_states(args, named))

    hook = layer.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        run()
    except _Stopped as stopped:
        return stopped.h
    finally:
        hook.remove()
    raise SourceError(f"{type(layer).__name__} is never entered, so the network cannot be cut there; use another one.")


@contextmanager
def noting(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Inside, the hidden states that enter each layer are kept, in the order of the layers."""
    kept: list[Any] = [None] * len(layers)
    hooks = []
    for place, layer in enumerate(layers):

        def keep(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], place: int = place) -> None:
            kept[place] = first_states(args, named)

        hooks.append(layer.register_forward_pre_hook(keep, with_kwargs=True))
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def passing(modules: Sequence[nn.Module], arity: int) -> Iterator[None]:
    """These modules return the hidden states that they are given, in a tuple of `arity` where layers do so."""

    def forward(*args: Any, **named: Any) -> Any:
        h = first_states(args, named)
        return (h, *(None,) * (arity - 1)) if arity else h

    for module in modules:
        module.forward = forward
    try:
        yield
    finally:
        for module in modules:
            del module.forward  # the class's own forward shows again


@contextmanager
def recomputed(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Inside, these modules keep what they are given alone, and run again when their gradients are computed.

    Reference:
        Chen et al., 2016, arXiv:1604.06174.
    """
    for module in modules:
        # inside of the call: what hooks put in place of an argument is what it runs with again
        module.forward = partial(checkpoint, module.forward, use_reentrant=False)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


@contextmanager
def entered_with(layer: nn.Module, h: Tensor) -> Iterator[None]:
    """Inside, these hidden states enter the layer, whatever the network's forward brings there."""

    def enter(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        there = first_states(args, named)
        return tuple(h if a is there else a for a in args), {k: h if v is there else v for k, v in named.items()}

    hook = layer.register_forward_pre_hook(enter, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def first_states(args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """The hidden states among what a layer is called with."""
    candidates = [*args, named.get("hidden_states"), named.get("inputs_embeds")]
    return next(c for c in candidates if isinstance(c, Tensor) and c.ndim == 3 and c.is_floating_point())
