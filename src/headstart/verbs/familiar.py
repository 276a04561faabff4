"""`inspect A --source NAME`: how far data is from what a network was trained on, without the data behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Held
from headstart.data.dataset import Dataset, Options
from headstart.errors import DataError, UsageError
from headstart.mismatch.kind import LEAST
from headstart.mismatch.norms import Depths, Moved, by_depth, moved
from headstart.mismatch.reference import FOLDER, Reference, shipped
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.report.familiar import Familiar
from headstart.sources.card import Card
from headstart.verbs.differ import look, opened_for
from headstart.verbs.pair import drawn_of, read_either
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller

MOST = 256  # examples: more of them move the statistics by less than other examples would
YARDSTICKS = "yardsticks.json"  # network -> what known data sets gave, as bench/references.py measured it
_DRAWS = 100


@dataclass(frozen=True, eq=False)
class _Measured:
    """What was measured: `of` gives the layers for some rows (positions, with repetition)."""

    data: Dataset
    of: Callable[[NDArray[np.int64]], dict[str, Moved]]
    reference: str
    yardsticks: Mapping[str, tuple[float, float, float]]
    ordinary: tuple[str, ...]
    odd: float | None
    blocks: int


def familiar(
    data: str | Path,
    *,
    source: str | None = None,
    options: Options | None = None,
    rows: int = MOST,
    seed: int = 0,
    threads: int = 0,
    device: str = "auto",
    cache: Path | None = None,
    teller: Teller | None = None,
) -> Familiar:
    """How far the examples are from what a network was trained on, layer by layer.

    A network with batch norms keeps the moments of its own data; another is compared with a reference that ships
    with this package. Labels are not looked at.

    Args:
        data: folder or table, with labels or without.
        source: network; None takes the default of the modality.
        options: columns of the data.
        rows: examples that are looked at, at most.
        seed: of the rows drawn.
        threads, device, cache, teller: as of `fit`.

    Raises:
        DataError: data that cannot be read, or too few examples.
        UsageError: a network that reads another kind of data, or that keeps no statistics and has no reference.
    """
    start, teller, cache = time.perf_counter(), teller or Silent(), cache or cache_folder()
    hush(threads)
    with at_most(threads):
        teller.progress("read the data", 0, 1)
        every, notes = read_either(data, options)
        drawn, note = drawn_of(every, np.arange(len(every)), rows, [seed, 24])
        if len(drawn) < LEAST:
            raise DataError(f"'{data}' has {len(drawn)} examples that can be looked at; give at least {LEAST}.")
        few = every.take(drawn)
        held = opened_for(source, few, cache, threads, device, teller)
        found = familiar_of(few, held, data, cache, seed=seed, teller=teller)
    return replace(found, notes=(*notes, *([note] if note else [])), seconds=time.perf_counter() - start)


def familiar_of(few: Dataset, held: Held, path: str | Path, cache: Path, *, seed: int, teller: Teller) -> Familiar:
    """How far examples that are read already are from what the network was trained on.

    Args:
        path: what they are called.

    Raises:
        DataError, UsageError: as `familiar`.
    """
    start = time.perf_counter()
    measure = _by_norms if held.card.modality == "image" else _by_reference
    found = measure(held, few, cache, teller, path)
    layers = found.of(np.arange(len(found.data)))
    low, high = _interval(found, seed)
    return Familiar(
        path=str(path),
        fingerprint=few.fingerprint,
        modality=few.modality,
        rows=len(found.data),
        source=held.card.name,
        trained_on=held.card.trained_on,
        reference=found.reference,
        layers=layers,
        depths=by_depth(list(layers.values())),
        low=low,
        high=high,
        yardsticks=found.yardsticks,
        ordinary=found.ordinary,
        odd=found.odd,
        blocks=found.blocks,
        notes=(),
        seconds=time.perf_counter() - start,
    )


def _interval(found: _Measured, seed: int) -> tuple[float, float]:
    """95 % of the mean of the thirds, over rows drawn anew."""
    draw, n = np.random.default_rng([seed, 25]), len(found.data)
    means = []
    for _ in range(_DRAWS):
        d: Depths = by_depth(list(found.of(draw.integers(n, size=n)).values()))
        means.append((d.first + d.middle + d.last) / 3)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _by_norms(held: Held, data: Dataset, cache: Path, teller: Teller, path: str | Path) -> _Measured:
    """The running statistics of the batch norms beside those of the data."""
    from headstart.adapt.inputs import pictures_of  # brings torch in
    from headstart.adapt.moments import entering
    from headstart.sources.load import load

    stack = load(held.card, cache, outputs=2)
    stage = f"read {path} through {held.card.name}"
    norms = entering(
        stack,
        pictures_of(data, held.card, threads=held.threads),
        lambda done, total: teller.progress(stage, done, total),
    )
    if len(norms) < 3:
        raise UsageError(
            f"{held.card.name} keeps no statistics of what it was trained on and no reference of it ships; "
            "name another network, or compare with a data set like its own: --against."
        )

    def of(rows: NDArray[np.int64]) -> dict[str, Moved]:
        # distinct rows: one that was drawn twice says nothing new of the variance
        count = len(np.unique(rows))
        found = {}
        for norm in norms:
            mean, square = norm.first[rows].mean(0), norm.second[rows].mean(0)
            values = len(rows) * norm.places
            var = np.maximum(square - mean**2, 0) * values / max(1, values - 1)
            found[norm.name] = moved(norm.mean, norm.var, mean, var, count=count, eps=norm.eps)
        return found

    known = _yardsticks(held.card)
    said = f"the statistics that {len(norms)} batch norms of {held.card.name} keep of what it was trained on "
    return _Measured(data, of, f"{said}({held.card.trained_on})", known, tuple(known)[:_ORDINARY], None, len(stack))


_ORDINARY = 2  # of the yardsticks of a network of pictures, the first, are ordinary photographs


def _by_reference(held: Held, data: Dataset, cache: Path, teller: Teller, path: str | Path) -> _Measured:
    """The outputs of the layers beside those of a reference that ships."""
    reference = shipped(held.card.digest)
    if reference is None:
        raise UsageError(
            f"{held.card.name} keeps no statistics of what it was trained on and no reference of it ships; "
            "name another network, or compare with a data set like its own: --against."
        )
    words = reference.about["words"]
    # a mean over many tokens varies less: texts of all lengths are compared by as many words
    cut = replace(data, inputs=tuple(" ".join(text.split()[: int(str(words))]) for text in data.texts))
    found = look(held, cut, cache, teller, path)
    layers = reference.layers

    def of(rows: NDArray[np.int64]) -> dict[str, Moved]:
        count = len(np.unique(rows))
        parts = {name: found.layers[name][rows] for name in layers}
        return {
            name: moved(layers[name].mean, layers[name].var, x.mean(0), x.var(0, ddof=1), count=count)
            for name, x in parts.items()
        }

    last = list(layers)[-1]
    odd = float(np.mean(layers[last].rank(found.layers[last]) >= 0.95))
    known = _known(reference)
    said = f"the outputs of {held.card.name} for the first {words} words of {reference.about['what']} "
    said += f"({_listed(reference)}), "
    said += f"which stand in for what it was trained on ({held.card.trained_on})"
    return _Measured(found.data, of, said, known, tuple(known), odd, len(held.taps) + 1)


def _listed(reference: Reference) -> str:
    parts = reference.about["parts"]
    assert isinstance(parts, Sequence)
    return ", ".join(str(part).split(" (")[0] for part in parts)


def _known(reference: Reference) -> dict[str, tuple[float, float, float]]:
    said = reference.about["yardsticks"]
    assert isinstance(said, Mapping)
    return {str(name).split(" (")[0]: (each[0], each[1], each[2]) for name, each in said.items()}


def _yardsticks(card: Card) -> dict[str, tuple[float, float, float]]:
    """What known sets of pictures gave with this network, ordinary photographs first; empty for an unknown one."""
    path = FOLDER / YARDSTICKS
    said = json.loads(path.read_text("utf8")) if path.is_file() else {}
    return {name: (each[0], each[1], each[2]) for name, each in said.get(card.digest, {}).get("sets", {}).items()}
