"""Stop and substitute: run a part of a network through the network's own forward.

The prefix runs the forward until a module is entered and keeps what enters it. The suffix runs the same forward with
everything that came before stubbed out and with that module's input replaced. No forward is written anew, parameter
names and the module tree stay as they are. Stubs return NaN: a second path across the cut shows itself at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map
from torch.utils.hooks import RemovableHandle

from headstart.errors import SourceError


class _Stopped(Exception):
    pass


@dataclass(frozen=True)
class Call:
    """The beginning or the end of one call of a module, with what it gave."""

    name: str
    began: bool
    out: Any = None


def record(network: nn.Module, x: Tensor) -> list[Call]:
    """Begin and end of every module's call on this input, in order."""
    names = {module: name for name, module in network.named_modules()}
    calls: list[Call] = []
    hooks: list[RemovableHandle] = []
    for module in names:
        hooks.append(module.register_forward_pre_hook(lambda m, _: calls.append(Call(names[m], True))))
        hooks.append(module.register_forward_hook(lambda m, _, out: calls.append(Call(names[m], False, out))))
    try:
        with torch.no_grad():
            network(x)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


Stubs = Mapping[str, tuple[Any, Any]]


def stubs_before(at: str, two: Sequence[Call], three: Sequence[Call]) -> Stubs:
    """Largest modules that end before module `at` begins -> what they gave for two and for three examples."""
    ended: dict[str, tuple[Any, Any]] = {}
    for a, b in zip(two, three, strict=True):
        if a.name == at and a.began:
            break
        if not a.began:
            ended[a.name] = (a.out, b.out)
    else:
        raise SourceError(f"{at} is never entered, so the network cannot be cut there.")
    return {name: outs for name, outs in ended.items() if name and not any(p in ended for p in _parents(name))}


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def until(network: nn.Module, at: nn.Module, x: Tensor) -> Tensor:
    """What enters module `at` when the network runs on x."""
    kept: list[Tensor] = []

    def stop(_: nn.Module, args: tuple[Any, ...]) -> None:
        kept.append(args[0])
        raise _Stopped

    hook = at.register_forward_pre_hook(stop)
    try:
        network(x)
    except _Stopped:
        pass
    finally:
        hook.remove()
    return kept[0]


@contextmanager
def replaced(network: nn.Module, at: nn.Module, h: Tensor, stubs: Stubs) -> Iterator[None]:
    """Inside, the network's forward ignores its input and takes h as what enters module `at`."""

    def enter(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (h, *args[1:])

    hook = at.register_forward_pre_hook(enter)
    swapped = [network.get_submodule(name) for name in stubs]
    for module, (two, three) in zip(swapped, stubs.values(), strict=True):
        module.forward = _blank(two, three, h)
    try:
        yield
    finally:
        hook.remove()
        for module in swapped:
            del module.forward  # the class's own forward shows again


def _blank(two: Any, three: Any, h: Tensor) -> Any:
    """A forward that gives NaN in the shapes that a batch like h's would have."""

    def fill(a: Any, b: Any) -> Any:
        if not isinstance(a, Tensor):
            return a
        # a dimension that grew from two examples to three holds so many for each example
        shape = [m if m == n else (n - m) * len(h) for m, n in zip(a.shape, b.shape, strict=True)]
        value = float("nan") if a.dtype.is_floating_point else 0
        return torch.full((), value, dtype=a.dtype, device=h.device).expand(shape)

    return lambda *_, **__: tree_map(fill, two, three)


@contextmanager
def tapped(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Inside, what enters each module is kept: the list is full after one forward, in the order of the modules."""
    kept: list[Any] = [None] * len(modules)
    hooks = []
    for place, module in enumerate(modules):

        def keep(_: nn.Module, args: tuple[Any, ...], place: int = place) -> None:
            kept[place] = args[0]

        hooks.append(module.register_forward_pre_hook(keep))
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
