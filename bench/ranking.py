"""Published outcomes of fine-tuning, foretold: `ranking.py` replays the tables of tables/; see bench/README.md.

Each estimator's printed scores, blind priors, and all of them combined with weights that never saw the data set that
is foretold; priors are learned from a table's other data sets, and from another paper's table of the same networks.
Weighted tau (scipy) and what the network on top loses against the best, means over the data sets.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from record import HERE, add
from scipy.stats import weightedtau

from headstart.rank.combine import learn, standardised

TABLES = HERE / "tables"
ESTIMATORS = ("hscore", "leep", "logme", "nce")
# top-1 on ImageNet of the torchvision weights, as torchvision's documentation prints them (version 1 weights)
IMAGENET = {
    "GoogleNet": 69.778,
    "Inception V3": 77.294,
    "ResNet50": 76.130,
    "ResNet101": 77.374,
    "ResNet152": 78.312,
    "DenseNet121": 74.434,
    "DenseNet169": 75.600,
    "Densenet201": 76.896,
    "MobileNet V2": 71.878,
    "MNasNet": 73.456,
}
SFDA = {  # names of the same networks in the other table
    "GoogleNet": "googlenet",
    "Inception V3": "inception_v3",
    "ResNet50": "resnet50",
    "ResNet101": "resnet101",
    "ResNet152": "resnet152",
    "DenseNet121": "densenet121",
    "DenseNet169": "densenet169",
    "Densenet201": "densenet201",
    "MobileNet V2": "mobilenet_v2",
    "MNasNet": "mnasnet1_0",
}
SAME = {"StanfordCars": "cars", "OxfordIIITPets": "pets"}  # data sets of the tables that differ in more than letters
DRAWS = 10_000

Foretell = Callable[[int], NDArray]  # data set -> (networks,) what is foretold of it


@dataclass(frozen=True)
class Table:
    """Outcomes that somebody published.

    Attributes:
        name: of the file.
        sets: names of data sets in small letters, the same in all tables.
        networks: names.
        values: column -> (sets, networks).
    """

    name: str
    sets: tuple[str, ...]
    networks: tuple[str, ...]
    values: Mapping[str, NDArray]

    @property
    def truth(self) -> NDArray:
        """(sets, networks) fine-tuned accuracy in percent."""
        return self.values["finetuned_accuracy"]

    @property
    def relative(self) -> NDArray:
        """(sets, networks) the same, in deviations over the networks of a data set."""
        return standardised(self.truth.T).T

    def mean(self, without: Sequence[str] = ()) -> NDArray:
        """(networks,) mean of what is relative, over the data sets but these."""
        return self.relative[[name not in without for name in self.sets]].mean(axis=0)

    def of(self, networks: Sequence[str]) -> Table:
        """These networks, in this order."""
        places = [self.networks.index(name) for name in networks]
        values = {name: column[:, places] for name, column in self.values.items()}
        return replace(self, networks=tuple(networks), values=values)


def table(name: str) -> Table:
    """One of the folder's."""
    with (TABLES / f"{name}.csv").open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    sets, networks = (list(dict.fromkeys(row[key] for row in rows)) for key in ("dataset", "network"))
    place = {(row["dataset"], row["network"]): row for row in rows}
    columns = [name for name in rows[0] if name not in ("dataset", "network")]
    values = {key: np.array([[float(place[s, n][key]) for n in networks] for s in sets]) for key in columns}
    return Table(name, tuple(SAME.get(name, name.lower()) for name in sets), tuple(networks), values)


def priors(own: Table, other: Table, imagenet: NDArray, whose: str) -> dict[str, Foretell]:
    """What is known of networks before the data set is: from the same table, and from another paper's.

    Args:
        own: that is foretold.
        other: of the same networks in the same order.
        whose: the other table, in a word.
    """

    def weighed(one: int) -> NDArray:
        """Weights of two priors, and one of them, learned without this data set and this table."""
        rest = [each for each, name in enumerate(other.sets) if name != own.sets[one]]

        def columns(each: int, without: frozenset[int]) -> NDArray:
            left = [own.sets[one], *(other.sets[place] for place in without | {each})]
            return np.stack([other.mean(left), imagenet], axis=1)

        learned = learn(rest, columns, lambda each: other.truth[each])
        return learned.of(np.stack([other.mean([own.sets[one]]), imagenet], axis=1))

    def both(one: int) -> NDArray:
        return (own.mean([own.sets[one]]) + other.mean([own.sets[one]])) / 2

    return {
        "prior: ImageNet": lambda one: imagenet,
        "prior: mean of the other data sets": lambda one: own.mean([own.sets[one]]),
        f"prior: mean of {whose} {len(other.sets)} data sets": lambda one: other.mean(),
        f"prior: mean of {whose} data sets but this": lambda one: other.mean([own.sets[one]]),
        f"prior: {whose} data sets but this and ImageNet, weighed there": weighed,
        "prior: mean of the other data sets of both tables": both,
    }


def combined(own: Table, imagenet: NDArray) -> Foretell:
    """All printed scores and two priors, their weights learned on the other data sets."""

    def all_of(one: int, without: frozenset[int] = frozenset()) -> NDArray:
        scores = [own.values[name][one] for name in ESTIMATORS]
        prior = own.mean([own.sets[each] for each in without | {one}])
        return np.stack([prior, imagenet, *scores], axis=1)

    def foretell(one: int) -> NDArray:
        rest = [each for each in range(len(own.sets)) if each != one]
        weights = learn(rest, lambda each, without: all_of(each, without | {one}), lambda each: own.truth[each])
        return weights.of(all_of(one))

    return foretell


def report(own: Table, ways: Mapping[str, Foretell]) -> None:
    """A row for each way."""
    draw = np.random.default_rng(0).integers(len(own.sets), size=(DRAWS, len(own.sets)))
    for name, foretell in ways.items():
        scores = [np.asarray(foretell(one)) for one in range(len(own.sets))]
        tau = np.array([weightedtau(own.truth[one], scores[one])[0] for one in range(len(own.sets))])
        lost = np.array([own.truth[one].max() - own.truth[one][scores[one].argmax()] for one in range(len(own.sets))])
        intervals = {
            key: np.percentile(each[draw].mean(axis=1), (2.5, 97.5)) for key, each in (("tau", tau), ("lost", lost))
        }
        add(
            "ranking",
            ("table", "way"),
            table=own.name,
            way=name,
            sets=len(own.sets),
            tau=float(tau.mean()),
            tau_low=float(intervals["tau"][0]),
            tau_high=float(intervals["tau"][1]),
            lost=float(lost.mean()),
            lost_low=float(intervals["lost"][0]),
            lost_high=float(intervals["lost"][1]),
            seeds=[0],
            command="bench/ranking.py",
        )


def main() -> None:
    tllib, sfda, alone = (table(name) for name in ("tllib_8x10", "sfda_supervised", "sfda_selfsupervised"))
    imagenet = np.array([IMAGENET[name] for name in tllib.networks])
    sfda = sfda.of([SFDA[name] for name in tllib.networks])
    scores = {name: tllib.values[name].__getitem__ for name in ESTIMATORS}
    report(tllib, {**scores, **priors(tllib, sfda, imagenet, "SFDA's"), "combined": combined(tllib, imagenet)})
    report(sfda, priors(sfda, tllib, imagenet, "TLlib's"))
    report(alone, {"prior: mean of the other data sets": lambda one: alone.mean([alone.sets[one]])})


if __name__ == "__main__":
    main()
