"""What the parts of a fit took on this machine when they last ran: kept with the network, for foretelling the next."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_COPIES = 12  # bytes for each number of the features: as read, standardised, and in products
_WIDEST = 6000  # columns of a head, at most
TRACED = 1  # version of what is traced; another number makes compiled networks anew


def folder_of(cache: Path, weights: str) -> Path:
    """Where the compiled form of a network is, and what is known of its costs.

    Args:
        weights: digest of the network.
    """
    return cache / "networks" / f"{weights}-{TRACED}"


@dataclass(frozen=True)
class Costs:
    """Costs of one network by name; seconds, but for the pace, and memory in MB.

    `pace` is examples a second through the held blocks, `start` the import of PyTorch. What going to depth k takes has
    the depth in its name: `load` (the network into PyTorch), `fill` (held blocks, of one example), `step` (training, of
    one picture or token), `tuned` (the tuned network compiled), `memory` (peak of the whole process, the features left
    out).

    Attributes:
        file: that they are kept in.
    """

    file: Path

    @classmethod
    def of(cls, cache: Path, weights: str, threads: int) -> Costs:
        """Those of a network with so many threads."""
        return cls(folder_of(cache, weights) / f"costs-{threads}.json")

    def known(self) -> Mapping[str, float]:
        """Everything that was noted; nothing where the file is missing or damaged."""
        try:
            said = json.loads(self.file.read_text("utf8"))
            return {str(name): float(value) for name, value in said.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def note(self, **costs: float) -> None:
        """Keep these, in place of earlier ones of the same names.

        A network that is not compiled here has no folder, and some caches may not be written: nothing is kept then.
        """
        partial = self.file.with_name(f"{self.file.name}.{uuid.uuid4().hex}.partial")
        with suppress(OSError):
            partial.write_text(json.dumps({**self.known(), **costs}, indent=1, sort_keys=True), "utf8")
            partial.replace(self.file)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note what the inside took, if it comes to its end."""
        start = time.perf_counter()
        yield
        self.note(**{name: time.perf_counter() - start})

    @contextmanager
    def first(self, name: str, module: str) -> Iterator[None]:
        """Note what the inside took where it was the first to import a module."""
        there, start = module in sys.modules, time.perf_counter()
        yield
        if not there and module in sys.modules:
            self.note(**{name: time.perf_counter() - start})


def memory_of_rows(widths: Sequence[int]) -> float:
    """MB of one row's features while a head is fitted on them."""
    return _COPIES * min(sum(widths), _WIDEST) / 1e6
