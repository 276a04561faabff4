"""The layers of a transformers network: what enters them is kept, replaced, or passed through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PretrainedConfig

from headstart.errors import SourceError


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
