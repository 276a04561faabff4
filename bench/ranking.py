"""Published outcomes of fine-tuning, foretold: `ranking.py` replays tables/tllib_8x10.csv; see bench/README.md.

Each estimator's printed scores, blind priors, and all of them combined with weights that never saw the data set that
is foretold. Weighted tau (scipy) and what the network on top loses against the best, means over the data sets.
"""

import csv

import numpy as np
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
DRAWS = 10_000


def table(name):
    """Data sets, networks, and column -> (sets, networks)."""
    with (TABLES / name).open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    sets, networks = (list(dict.fromkeys(row[key] for row in rows)) for key in ("dataset", "network"))
    place = {(row["dataset"], row["network"]): row for row in rows}
    columns = [name for name in rows[0] if name not in ("dataset", "network")]
    values = {key: np.array([[float(place[s, n][key]) for n in networks] for s in sets]) for key in columns}
    return sets, networks, values


def ways(networks, values):
    """Name -> data set -> (networks,) what is foretold of it."""
    truth, prior = values["finetuned_accuracy"], np.array([IMAGENET[name] for name in networks])
    relative = standardised(truth.T).T
    others, theirs, elsewhere = table("sfda_supervised.csv")
    wanted = [theirs.index(SFDA[name]) for name in networks]
    abroad = standardised(elsewhere["finetuned_accuracy"].T).T.mean(axis=0)[wanted]

    def mean_of_others(one, without=frozenset()):
        rest = [each for each in range(len(truth)) if each not in without | {one}]
        return relative[rest].mean(axis=0)

    def all_of(one, without=frozenset()):
        scores = [values[name][one] for name in ESTIMATORS]
        return np.stack([mean_of_others(one, without), prior, *scores], axis=1)

    def combined(one):
        rest = [each for each in range(len(truth)) if each != one]

        def columns(each, without):
            return all_of(each, without | {one})

        return learn(rest, columns, lambda each: truth[each]).of(all_of(one))

    found = {name: values[name].__getitem__ for name in ESTIMATORS}
    found["prior: ImageNet"] = lambda one: prior
    found["prior: mean of the other data sets"] = mean_of_others
    found[f"prior: mean of SFDA's {len(others)} data sets"] = lambda one: abroad
    found["combined"] = combined
    return found


def main():
    sets, networks, values = table("tllib_8x10.csv")
    truth = values["finetuned_accuracy"]
    draw = np.random.default_rng(0).integers(len(sets), size=(DRAWS, len(sets)))
    for name, foretell in ways(networks, values).items():
        scores = [np.asarray(foretell(one)) for one in range(len(sets))]
        tau = np.array([weightedtau(truth[one], scores[one])[0] for one in range(len(sets))])
        lost = np.array([truth[one].max() - truth[one][scores[one].argmax()] for one in range(len(sets))])
        intervals = {
            key: np.percentile(each[draw].mean(axis=1), (2.5, 97.5)) for key, each in (("tau", tau), ("lost", lost))
        }
        add(
            "ranking",
            ("table", "way"),
            table="tllib_8x10",
            way=name,
            sets=len(sets),
            tau=float(tau.mean()),
            tau_low=float(intervals["tau"][0]),
            tau_high=float(intervals["tau"][1]),
            lost=float(lost.mean()),
            lost_low=float(intervals["lost"][0]),
            lost_high=float(intervals["lost"][1]),
            seeds=[0],
            command="bench/ranking.py",
        )


if __name__ == "__main__":
    main()
