"""Data read once through the held blocks of a pretrained network: pooled outputs of every block, kept in the store."""

from __future__ import annotations

import hashlib
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.costs import TRACED, Costs, folder_of
from headstart.core.also import ALSO
from headstart.core.skill import TAIL, Skill
from headstart.core.store import Address, Store, Table
from headstart.data.dataset import Dataset
from headstart.data.pictures import Preparation, batches
from headstart.data.tokens import chunks, open_tokenizer
from headstart.engine.openvino import Batch, is_there, open_compiled
from headstart.errors import EngineError
from headstart.sources.card import Card, card_of
from headstart.sources.folder import tokenizer_of
from headstart.sources.safe import refuse_code

if TYPE_CHECKING:
    from headstart.sources.load import Pretrained

Progress = Callable[[int, int], None]
Broken = Callable[[int, str], None]

_PICTURES = 8  # to a batch: throughput is the same from 1 to 32, and small ones start sooner
_TOKENS = 2048  # to a batch of texts
_ROWS = 1024  # to a chunk of the store
_ASIDE = "-aside-"  # before what makes the name of a folder of a trial its own
_TIMED = 32  # examples from which on the time of their reading says how fast the network is


class Engine(Protocol):
    """What runs a network: `engine.openvino.Compiled` or `engine.eager.Eager`."""

    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def widths(self) -> tuple[int, ...]: ...
    @property
    def precision(self) -> str: ...
    @property
    def version(self) -> str: ...
    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[NDArray[np.int64], list[NDArray]]]: ...


class Reader(Protocol):
    """What pooled outputs are read with: one network (`Held`), or several side by side (`adapt.beside.Beside`)."""

    @property
    def card(self) -> Card: ...
    @property
    def taps(self) -> tuple[str, ...]: ...
    @property
    def widths(self) -> tuple[int, ...]: ...
    @property
    def precision(self) -> str: ...
    @property
    def pace(self) -> float | None: ...
    @property
    def threads(self) -> int: ...
    @property
    def device(self) -> str: ...
    def read(
        self, data: Dataset, *, view: int = 0, progress: Progress | None = None, broken: Broken | None = None
    ) -> list[NDArray]: ...


@dataclass(frozen=True)
class Held:
    """A network whose pooled outputs are read without PyTorch.

    Attributes:
        card: of the pretrained network.
        weights: digest of what was loaded: the card's, or of the tuned network.
        network: as the engine runs it; its outputs are the taps, nearest the input first.
        cache: folder of the tokenizer and of all that can be made again.
        threads: of the CPU; 0 takes all.
        device: as of `open_held`.
    """

    card: Card
    weights: str
    network: Engine
    cache: Path
    threads: int = 0
    device: str = "auto"

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the pooled outputs, nearest the input first; the last is what a head reads."""
        return self.network.outputs

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the taps."""
        return self.network.widths

    @property
    def precision(self) -> str:
        """What the engine multiplies in."""
        return self.network.precision

    def table(self, store: Store, view: int = 0) -> Table:
        """Where the taps of this network's examples are kept."""
        preparation = preparation_of(self.card).digest if self.card.modality == "image" else f"tokens {self.card.size}"
        return store.table(
            Address(
                self.weights,
                len(self.taps),
                preparation,
                view,
                f"{self.network.version} taps {TRACED}",
                self.network.precision,
            )
        )

    def fill(self, data: Dataset, table: Table, *, progress: Progress | None = None) -> Table:
        """The table with a row for every example; what is there already is not computed again."""
        missing = table.missing(data.keys)
        done, began = len(data) - len(missing), time.perf_counter()
        for start in range(0, len(missing), _ROWS):
            rows = missing[start : start + _ROWS]
            values = self.read(
                data.take(rows), view=table.address.view, progress=_from(progress, done + start, len(data))
            )
            table.write([data.keys[row] for row in rows], dict(zip(self.taps, values, strict=True)))
        if len(missing) >= _TIMED:
            self._costs.note(pace=len(missing) / (time.perf_counter() - began))
        return table

    @property
    def pace(self) -> float | None:
        """Examples a second when many were read last on this machine; None where none were."""
        return self._costs.known().get("pace")

    @property
    def _costs(self) -> Costs:
        return Costs.of(self.cache, self.weights, self.threads)

    def read(
        self, data: Dataset, *, view: int = 0, progress: Progress | None = None, broken: Broken | None = None
    ) -> list[NDArray]:
        """(n, d) float32 for each tap, rows in the order of the data.

        Args:
            broken: told the row and the reason of each picture that cannot be read, whose values are then undefined.

        Raises:
            DataError: a picture that cannot be read, where `broken` is not given.
        """
        return self._pictures(data, view, progress, broken) if data.modality == "image" else self._texts(data, progress)

    def _pictures(self, data: Dataset, view: int, progress: Progress | None, broken: Broken | None) -> list[NDArray]:
        prepared = batches(
            data.pictures,
            preparation_of(self.card),
            batch=_PICTURES,
            threads=self.threads or 2,
            view=view,
            broken=broken,
        )
        pairs = ((rows, {"pixels": pixels}) for rows, pixels in prepared)
        return self._collect(pairs, len(data), progress)

    def _texts(self, data: Dataset, progress: Progress | None) -> list[NDArray]:
        cut = chunks(open_tokenizer(tokenizer_of(self.card, self.cache), self.card.size), data.texts)
        values = self._collect(cut.batches(tokens=_TOKENS), len(cut.ids), _scaled(progress, len(cut.ids), len(data)))
        return [cut.pooled(value) for value in values]

    def _collect(self, pairs: Iterable, n: int, progress: Progress | None) -> list[NDArray]:
        out = [np.zeros((n, width), np.float32) for width in self.network.widths]
        done = 0
        for rows, values in self.network.run(pairs):
            for target, value in zip(out, values, strict=True):
                target[rows] = value
            done += len(rows)
            if progress:
                progress(done, n)
        return out


def preparation_of(card: Card) -> Preparation:
    """How this network wants its pictures."""
    return Preparation(card.size, card.crop, card.mean, card.std, card.interpolation)


def open_held(
    card: Card, cache: Path, *, threads: int = 0, device: str = "auto", told: Callable[[str], None] | None = None
) -> Held:
    """A pretrained network's held blocks, with an output for every block; traced through PyTorch the first time only.

    Args:
        device: auto (the fast engine, else PyTorch on the CPU), cpu (the fast engine alone), eager or cuda (PyTorch).
        told: why PyTorch stands in for the fast engine, where it does.

    Raises:
        SourceError: its files cannot be had.
        EngineError: the engine cannot run it as PyTorch does, and `device` does not allow PyTorch itself.
    """

    def make() -> Pretrained:
        from headstart.sources.load import load

        return load(card, cache, outputs=2)

    network = _engine(folder_of(cache, card.digest), card, make, last=False, threads=threads, device=device, told=told)
    return Held(card, card.digest, network, cache, threads, device)


def open_reader(
    card: Card, cache: Path, *, threads: int = 0, device: str = "auto", told: Callable[[str], None] | None = None
) -> Reader:
    """A network as `open_held` opens it, or several side by side.

    Raises:
        SourceError, EngineError: as `open_held`.
    """
    if not card.beside:
        return open_held(card, cache, threads=threads, device=device, told=told)
    from headstart.adapt.beside import Beside

    parts = (open_held(each, cache, threads=threads, device=device, told=told) for each in card.beside)
    return Beside(card, tuple(parts))


def open_skill_network(skill: Skill, cache: Path, *, threads: int = 0) -> Reader:
    """The network of a skill: the pretrained one where only a head was learned, else with its learned blocks.

    Raises:
        SourceError: a manifest whose source cannot be read, pretrained files that cannot be had, or that may run code.
    """
    card = card_of(skill.manifest["source"])
    refuse_code(card, cache)
    tail = {name: array for name, array in skill.arrays.items() if name.startswith(TAIL)}
    if not tail:
        return open_reader(card, cache, threads=threads)

    def make() -> Pretrained:
        from headstart.sources.load import with_tail

        return with_tail(card, tail, cache)

    return open_tuned(card, tail, make, cache, threads=threads, last=last_alone(skill))


def last_alone(skill: Skill) -> bool:
    """Whether all that the skill reads of its network is the last pooled output.

    Norms alone were laid over where a head on any layers was learned; beside a tail's own head others may stand.
    """
    return skill.manifest["depth"] > 1 and not skill.manifest.get(ALSO)


def open_tuned(
    card: Card,
    tail: Mapping[str, NDArray],
    make: Callable[[], Pretrained],
    cache: Path,
    *,
    threads: int = 0,
    device: str = "auto",
    last: bool = True,
    aside: bool = False,
) -> Held:
    """A pretrained network with some of its weights replaced; traced once.

    Args:
        tail: TAIL + parameter name -> values.
        make: the network that the tail is of.
        device: as of `open_held`.
        last: whether the last pooled output is all that is wanted.
        aside: whether it is on trial, in a folder of its own: another process may be trying the same. `settle` gives it
            the place where it is found again, `forget` removes it.
    """
    digest = digest_of(card, tail) + ("" if last else "-taps") + (f"{_ASIDE}{uuid.uuid4().hex}" if aside else "")
    network = _engine(folder_of(cache, digest), card, make, last=last, threads=threads, device=device)
    return Held(card, digest, network, cache, threads, device)


def forget(held: Held) -> None:
    """Remove what is on disk of a tuned network that is not kept; one that is open goes on working."""
    shutil.rmtree(folder_of(held.cache, held.weights), ignore_errors=True)


def settle(held: Held) -> Held:
    """The network that was on trial, at the place where a skill with its tail looks for it."""
    weights = held.weights.partition(_ASIDE)[0]
    try:
        folder_of(held.cache, held.weights).rename(folder_of(held.cache, weights))
    except OSError:  # it is there already, or runs through PyTorch and has no folder
        forget(held)
    return replace(held, weights=weights)


def _engine(
    folder: Path,
    card: Card,
    make: Callable[[], Pretrained],
    *,
    last: bool,
    threads: int,
    device: str,
    told: Callable[[str], None] | None = None,
) -> Engine:
    """The fast engine where it is allowed and agrees with PyTorch, else PyTorch.

    Args:
        folder: of what the fast engine reads; written where it is not there.
        last: whether the last block's output is all that is wanted.
    """
    if device in ("auto", "cpu"):
        try:
            if not is_there(folder):
                from headstart.adapt.traced import limit, save_taps  # brings torch in

                limit(threads)
                save_taps(make(), card, folder, last=last)
            return open_compiled(folder, threads=threads)
        except EngineError as error:
            if device == "cpu":
                raise
            if told:
                told(f"the network runs through PyTorch, which is slower: {error}")
    from headstart.adapt.traced import eager_taps, limit

    limit(threads)
    return eager_taps(make(), card, "cuda" if device == "cuda" else "cpu", last=last)


def digest_of(card: Card, tail: Mapping[str, NDArray]) -> str:
    """sha256 of a network with these values in place of its own."""
    digest = hashlib.sha256(card.digest.encode())
    for name in sorted(tail):
        digest.update(name.encode() + np.ascontiguousarray(tail[name]).tobytes())
    return digest.hexdigest()


def _from(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


def _scaled(progress: Progress | None, chunks: int, texts: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(done * texts // max(1, chunks), texts)
