"""Outcomes of `live.py` as cases: networks on one draw of a data set, each with its truth."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.deeper import _WORTH
from headstart.adapt.recipes import picture_recipe, text_recipe

GAIN = {  # of such a tail, in shares of the head's error: what `fit` knows of it from other data
    "pictures": picture_recipe(18, 600, 2, "classes", 4, seed=0).gain,
    "texts": text_recipe(8, 600, 2, "classes", precision="bfloat16", seed=0).gain,
}


@dataclass(frozen=True)
class Case:
    """Networks on one draw of a data set.

    Attributes:
        name: of the data set.
        networks: names.
        said: of each network, as `live.py` wrote it.
        right: (networks, rows) 0 and 1: the truth on each test row.
    """

    name: str
    networks: tuple[str, ...]
    said: tuple[dict, ...]
    right: NDArray

    @property
    def truth(self) -> NDArray:
        """(networks,) accuracy on the test rows."""
        return self.right.mean(axis=1)

    def column(self, key: str) -> NDArray:
        """(networks,) of one number."""
        return np.array([each[key] for each in self.said], float)

    def estimates(self, name: str) -> NDArray:
        """(networks,) of one estimator, NaN where the rows did not allow it."""
        return np.array([np.nan if each["estimates"][name] is None else each["estimates"][name] for each in self.said])

    @property
    def spread(self) -> NDArray:
        """(draws, networks) of the probe's paired bootstrap."""
        return np.array([each["draws"] for each in self.said]).T

    @property
    def softer_spread(self) -> NDArray:
        """(draws, networks) of the mean of accuracy and probability of the right class, on the same draws."""
        return (self.spread + np.array([each["softer"]["own_draws"] for each in self.said]).T) / 2

    def of(self, wanted: Callable[[str], bool]) -> Case:
        """These networks alone."""
        places = [place for place, name in enumerate(self.networks) if wanted(name)]
        names, said = tuple(self.networks[place] for place in places), tuple(self.said[place] for place in places)
        return Case(self.name, names, said, self.right[places])


def cases_of(folder: Path, kind: str, truth: str = "kept") -> list[Case]:
    """Every draw of a data set, with the networks that most of the draws have, and all of those taken have.

    Args:
        truth: kept (as `fit` decides), better (on held-out rows alone), head, or tuned (head where nothing was tuned).
    """
    found: dict[tuple[str, int], list[dict]] = defaultdict(list)
    for path in sorted((folder / "outcomes").glob("*.json")):
        said = json.loads(path.read_text("utf8"))
        if said["kind"] == kind:
            found[said["set"], said["seed"]].append(said)
    named = Counter(each["network"] for said in found.values() for each in said)
    shared = sorted(name for name, count in named.items() if 2 * count > len(found))
    cases = []
    for (name, _), said in sorted(found.items()):
        mine = {each["network"]: each for each in said}
        if all(network in mine for network in shared):
            kept = tuple(mine[network] for network in shared)
            cases.append(Case(name, tuple(shared), kept, np.array([_right(each, truth) for each in kept])))
    return cases


def _right(said: dict, truth: str) -> list[int]:
    if said["tuned"] is None or truth == "head":
        return said["head"]
    gain = said["judged"] - said["beside"]
    if truth == "kept":
        gain = _expected(said) - _WORTH
    return said["tuned"] if truth == "tuned" or gain > 0 else said["head"]


def _expected(said: dict) -> float:
    """Gain of the tail, as `adapt.deeper.verdict` weighs it; the noise of its held-out rows is that of test rows."""
    mean, deviation = (share * (1 - said["beside"]) for share in GAIN[said["kind"]])
    rows = -(-said["learned_from"] // 5)
    noise = max(float(np.std(np.subtract(said["tuned"], said["head"]))) / rows**0.5, 0.5 / rows)
    weight = deviation**2 / (deviation**2 + noise**2)
    return weight * (said["judged"] - said["beside"]) + (1 - weight) * mean


def by_set(cases: Sequence[Case], values: Sequence[float] | Sequence[NDArray]) -> NDArray:
    """(sets, ...) means over the draws of each data set."""
    names = np.array([case.name for case in cases])
    return np.array([np.mean(np.asarray(values)[names == name], axis=0) for name in dict.fromkeys(names)])
