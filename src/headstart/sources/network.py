"""Any timm network as a Stack, cut wherever a cut is exact, its own forward untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.core.stack import HEARD, Stack, State, on_h
from headstart.errors import SourceError
from headstart.sources.substitute import Stubs, record, replaced, stubs_before, tapped, until

TOLERANCE = 1e-5
_FEW = 3  # exact cuts below which coarser groups are tried


@dataclass(frozen=True)
class _Cut:
    """A place to cut: the module that is entered first behind it, and what came before that module."""

    at: str
    stubs: Stubs


class Network(Stack):
    """stem, block1..n, head over a timm network made without a classifier.

    The input state has `h` (b, 3, s, s), normalised; between blocks `h` is what the network passes on itself, with
    channels first or last, or tokens; before the head it is (b, d), pooled. Pool, final norm and final convolution
    ride with the last block. Each cut was tried when the network was loaded and equals the uncut network.

    Args:
        network: a timm network with `num_classes=0`.
        outputs: width of the new head.
        size: of the side of its pictures, in pixels; suffixes run at this size.

    Raises:
        SourceError: a network whose output is not one vector per picture.
    """

    def __init__(self, network: nn.Module, outputs: int, size: int) -> None:
        network.eval()
        x = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            y = network(x[:2])
        if not isinstance(y, Tensor) or y.ndim != 2:
            raise SourceError(
                f"{type(network).__name__} does not give one vector per picture; make it with num_classes=0."
            )
        groups, cuts = _exact(network, x, y)
        blocks = {name: _block(network, names) for name, names in zip(_named(len(groups)), groups, strict=True)}
        super().__init__({**blocks, "head": on_h(nn.Linear(y.shape[1], outputs))})
        self.size = size
        self._network = (network,)  # in a tuple: its parameters are registered once, through the blocks
        self._cuts = cuts
        self._channels = tuple(self._channel_axes(x[:2]))
        self.eval()

    @property
    def head_linear(self) -> nn.Linear:
        """The new head."""
        return self.blocks["head"].module  # pyright: ignore[reportReturnType]

    def forward(self, state: State, start: int = 0, stop: int | None = None, hear: Sequence[str] = ()) -> State:
        """Run blocks [start, stop)."""
        last = len(self) - 1
        end = len(self) if stop is None else stop
        if start < min(end, last):
            state = self._hearing(state["h"], start, min(end, last), hear)
        return super().forward(state, max(start, last), max(end, last))

    def _hearing(self, h: Tensor, start: int, stop: int, hear: Sequence[str]) -> State:
        cuts = [cut for cut in range(start + 1, stop) if self.names[cut - 1] in hear]
        with tapped([self._module(cut) for cut in cuts]) as kept:
            h = self._through(h, start, stop)
        heard = dict(zip(cuts, kept, strict=True))
        if self.names[stop - 1] in hear:
            heard[stop] = h
        return {"h": h, **{HEARD + self.names[cut - 1]: _pool(x, self._channels[cut - 1]) for cut, x in heard.items()}}

    def train(self, mode: bool = True) -> Network:
        """Set training mode of the learning blocks; held blocks stay in evaluation mode."""
        # what lies between the blocks (a dropout beside the layers) wakes only when the whole network learns
        self._network[0].train(mode and self.depth == len(self))
        super().train(mode)
        return self

    def tap(self, state: State, cut: int) -> Tensor:
        """(b, d): the state before block `cut`, averaged over places or tokens where it is not pooled yet."""
        return _pool(state["h"], self._channels[cut - 1])

    def taps(self, state: State, cuts: Sequence[int]) -> list[Tensor]:
        """The pooled states before these blocks, in one pass.

        Args:
            cuts: ascending, 1..len(stack) - 1.
        """
        network, last = self._network[0], len(self) - 1
        inner = [cut for cut in cuts if cut < last]
        with tapped([self._module(cut) for cut in inner]) as kept:
            y = network(state["h"])
        states = [*kept, *([y] if last in cuts else [])]
        return [_pool(h, self._channels[cut - 1]) for h, cut in zip(states, cuts, strict=True)]

    def _module(self, cut: int) -> nn.Module:
        return self._network[0].get_submodule(self._cuts[cut - 1].at)

    def _through(self, h: Tensor, start: int, stop: int) -> Tensor:
        network = self._network[0]
        if start == 0:
            return network(h) if stop == len(self) - 1 else until(network, self._module(stop), h)
        blank = h.new_zeros(()).expand(len(h), 3, self.size, self.size)
        with replaced(network, self._module(start), h, self._cuts[start - 1].stubs):
            if stop == len(self) - 1:
                return network(blank)
            return until(network, self._module(stop), blank)

    def _channel_axes(self, x: Tensor) -> list[int]:
        """Of every cut's state, which axis holds channels."""
        with torch.no_grad(), tapped([self._module(cut) for cut in range(1, len(self) - 1)]) as kept:
            self._network[0](x)
        return [*(_channel_axis(h) for h in kept), 1]


def _exact(network: nn.Module, x: Tensor, y: Tensor) -> tuple[list[list[str]], tuple[_Cut, ...]]:
    """Parameter names per block, and the cuts between the blocks, every one tried."""
    two, three = record(network, x[:2]), record(network, x)
    best: tuple[list[list[str]], tuple[_Cut, ...]] = ([[name for name, _ in network.named_parameters()]], ())
    for coarse in (False, True):
        groups: list[list[str]] = []
        cuts: list[_Cut] = []
        entered = [call.name for call in two if call.began]
        for names in _groups(network, coarse):
            only_norms = all(network.get_parameter(name).ndim < 2 for name in names)
            cut = _try(network, names, entered, (two, three), x, y) if groups and not only_norms else None
            if cut is not None:
                cuts.append(cut)
            if cut is not None or not groups:
                groups.append(list(names))
            else:
                groups[-1] += names
        if len(cuts) > len(best[1]):
            best = groups, tuple(cuts)
        if len(best[1]) >= _FEW:
            break
    return best


def _groups(network: nn.Module, coarse: bool) -> list[list[str]]:
    """Names of parameters per group as timm divides its networks, nearest the input first."""
    from timm.models import group_parameters

    matcher = network.group_matcher(coarse=coarse)  # pyright: ignore[reportCallIssue]
    return [list(names) for _, names in sorted(group_parameters(network, matcher).items())]


def _try(network: nn.Module, names: list[str], entered: list[str], calls: tuple, x: Tensor, y: Tensor) -> _Cut | None:
    """The cut before the group of these parameters, if it is exact."""
    inside = set(_whole(network, names))
    at = next((name for name in entered if name in inside), None)
    if at is None:
        return None
    module = network.get_submodule(at)
    try:
        cut = _Cut(at, stubs_before(at, *calls))
        with torch.no_grad():
            h = until(network, module, x[:2])
            if not isinstance(h, Tensor) or not h.is_floating_point() or h.ndim < 2 or len(h) != 2:
                return None
            with replaced(network, module, h, cut.stubs):
                got = network(x.new_zeros(()).expand(2, *x.shape[1:]))
    except (RuntimeError, AttributeError, TypeError, IndexError, SourceError):
        return None  # a forward that cannot be entered here: the block is joined to the one before
    return cut if torch.allclose(got, y, rtol=TOLERANCE, atol=TOLERANCE) else None


def _whole(network: nn.Module, names: list[str]) -> list[str]:
    """Largest modules that have these parameters and no others."""
    mine = set(names)
    found: list[str] = []

    def walk(module: nn.Module, path: str) -> None:
        below = {f"{path}.{name}" if path else name for name, _ in module.named_parameters()}
        if below and below <= mine and path:
            found.append(path)
        elif below & mine:
            for name, child in module.named_children():
                walk(child, f"{path}.{name}" if path else name)

    walk(network, "")
    return found


class _Own(nn.Module):
    """Parameters that belong to no module of a block alone: a class token, position embeddings."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        super().__init__()
        for name, parameter in parameters.items():
            self.register_parameter(name.replace(".", "_"), parameter)


def _block(network: nn.Module, names: list[str]) -> nn.Module:
    whole = _whole(network, names)
    covered = {f"{path}.{name}" for path in whole for name, _ in network.get_submodule(path).named_parameters()}
    own = {name: network.get_parameter(name) for name in names if name not in covered}
    return nn.ModuleList([*(network.get_submodule(path) for path in whole), *([_Own(own)] if own else [])])


def _named(n: int) -> list[str]:
    return ["stem", *(f"block{k}" for k in range(1, n))]


def _channel_axis(h: Tensor) -> int:
    """1 for (b, c, h, w) and (b, d); 3 for (b, h, w, c); 2 for tokens (b, t, d)."""
    if h.ndim != 4:
        return h.ndim - 1
    return 3 if h.shape[1] == h.shape[2] != h.shape[3] else 1


def _pool(h: Tensor, channels: int) -> Tensor:
    others = [axis for axis in range(1, h.ndim) if axis != channels]
    return h.mean(others) if others else h
