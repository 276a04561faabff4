"""Labelled data as every verb that learns from it wants it: read, checked, divided, without what cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.beside import Beside, side_by_side
from headstart.adapt.held import Held, Reader, open_reader
from headstart.adapt.probe import Ask, Features, Outputs
from headstart.core.store import Store
from headstart.data.check import check, repeats
from headstart.data.dataset import READS, Dataset, Options
from headstart.data.near import Look, look
from headstart.data.read import read
from headstart.data.split import Split, split
from headstart.errors import DataError, UsageError
from headstart.heads import metrics
from headstart.sources.card import Card
from headstart.sources.fetch import pull


@dataclass(frozen=True, eq=False)
class Prepared:
    """Data that can be learned from.

    Attributes:
        data: with answers, all of it readable.
        parts: its rows by what they are for.
        thumbnails: (n, 32, 32) of pictures; None for texts.
    """

    data: Dataset
    parts: Split
    thumbnails: NDArray[np.uint8] | None


def prepared(data: str | Path, options: Options | None, *, seed: int, threads: int = 0) -> Prepared:
    """Read, look, check and divide.

    Raises:
        DataError: what `fit` would refuse.
    """
    examples = read(data, options)
    looked = look(examples.pictures, threads=threads or 2) if examples.modality == "image" else None
    again = repeats(examples, looked=looked)
    parts = split(examples, seed=seed, repeats=again.near)
    errors = [each.text for each in check(examples, parts, looked=looked, again=again) if each.severity == "error"]
    if errors:
        raise DataError(errors[0])
    if looked is None:
        return Prepared(examples, parts, None)
    if not looked.broken:
        return Prepared(examples, parts, looked.thumbnails)
    return Prepared(*without(examples, parts, looked, np.array(sorted(looked.broken))))


def ask_of(data: Dataset, metric: str | None, *, balance: bool = False, seed: int = 0) -> Ask:
    """What a head is asked for.

    Args:
        metric: None takes the task's default.

    Raises:
        UsageError: a metric that there is not, or that does not suit the task.
    """
    named = metric or metrics.default_metric(data.task)
    if named not in metrics.suited(data.task):
        raise UsageError(
            f"metric {named!r} does not suit {data.task}; use one of {', '.join(metrics.suited(data.task))}."
        )
    apart = data.groups is not None or data.times is not None
    return Ask(data.task, named, len(data.classes), balance, seed, apart)


def fits(card: Card, data: Dataset) -> None:
    """Refuse a network that reads another kind of data.

    Raises:
        UsageError: it does.
    """
    if card.modality != data.modality:
        raise UsageError(
            f"{card.name} reads {READS[card.modality]} and the data holds {READS[data.modality]}; "
            "name another: `headstart models` lists them."
        )


def opened(
    card: Card, data: Dataset, cache: Path, *, threads: int, device: str = "auto", told: Callable[[str], None]
) -> Outputs:
    """The outputs of a network, or of several side by side, for this data, computed when they are asked for.

    Args:
        told: what is fetched, and why PyTorch stands in for the fast engine.

    Raises:
        UsageError: a network that reads another kind of data.
        SourceError: its files cannot be had.
    """
    fits(card, data)
    pull(card, cache, told)
    return outputs_of(open_reader(card, cache, threads=threads, device=device, told=told), data, cache)


def outputs_of(held: Reader, data: Dataset, cache: Path) -> Outputs:
    """What the store keeps of this data, with the network that computes what is missing."""
    store = Store(cache / "store")
    if isinstance(held, Beside):
        return side_by_side(held, data, store)
    assert isinstance(held, Held)
    return Features(held, data, held.table(store))


def without(data: Dataset, parts: Split, looked: Look, broken: NDArray) -> tuple[Dataset, Split, NDArray]:
    """Data, split and thumbnails without the rows that cannot be read."""
    whole = np.setdiff1d(np.arange(len(data)), broken)
    place = np.full(len(data), -1)
    place[whole] = np.arange(len(whole))

    def kept(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return place[np.setdiff1d(rows, broken)]

    test = None if parts.test is None else kept(parts.test)
    folds = tuple((kept(a), kept(b)) for a, b in parts.folds)
    return data.take(whole), Split(kept(parts.train), test, folds, parts.how), looked.thumbnails[whole]
