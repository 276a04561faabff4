"""Ways to foretell an order of networks without training them: the probe, estimators, blind priors, and mixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from cases import Case
from numpy.typing import NDArray

from headstart.rank.combine import learn, standardised
from headstart.rank.estimators import ESTIMATORS

# top-1 on ImageNet of the same weights, bicubic, as the author of timm prints them (rwightman/gen-efficientnet-pytorch)
IMAGENET = {"efficientnet-lite0": 74.842, "efficientnet-lite1": 76.638, "efficientnet-lite2": 77.460}
PROBE = "probe (what rank uses)"
SOFTER = {
    "log_loss": "probe's log loss",
    "own": "probe's probability of the right class",
    "margin": "probe's margin",
}

Foretell = Callable[[int], NDArray]  # case -> (networks,) what is foretold, higher is better


def ways(cases: Sequence[Case]) -> dict[str, Foretell]:
    """Name -> what is foretold without any training; priors of networks only where all cases have the same."""
    found = alone(cases)
    for name, columns in {
        "probe and its log loss": ("probe", "log_loss"),
        "probe and nearest neighbours": ("probe", "knn"),
        "probe and parameters": ("probe", "parameters"),
    }.items():
        found[f"{name}, weighed"] = _weighed(cases, columns)
    if len({case.networks for case in cases}) > 1:
        return found
    if all(name in IMAGENET for name in cases[0].networks):
        found["prior: ImageNet"] = lambda one: np.array([IMAGENET[name] for name in cases[one].networks])
    found["prior: mean of the other data sets"] = lambda one: _elsewhere(cases, {cases[one].name})
    found["probe and prior of the other data sets, weighed"] = _weighed(cases, ("elsewhere", "probe"))
    found["probe, its gain elsewhere added"] = lambda one: _gained(cases, one)
    found["all, weighed"] = _weighed(cases, ("elsewhere", "probe", "parameters", "knn", "logme", "h_score", "n_leep"))
    return found


def alone(cases: Sequence[Case]) -> dict[str, Foretell]:
    """Name -> what is foretold of a data set's networks with no other data set in view."""
    found: dict[str, Foretell] = {PROBE: lambda one: cases[one].column("probe")}
    for name, words in SOFTER.items():
        found[words] = lambda one, name=name: _softer(cases[one], name)
    for name in ESTIMATORS:
        found[f"{name}, last layer"] = lambda one, name=name: cases[one].estimates(name)
    found["mean of probe and its probability of the right class"] = lambda one: _plain(cases[one])
    found["probe and its log loss, half each"] = lambda one: _together(cases[one], ("probe", "log_loss"))
    found["probe and nearest neighbours, half each"] = lambda one: _together(cases[one], ("probe", "knn"))
    found["prior: parameters"] = lambda one: np.log(cases[one].column("parameters"))
    found["prior: blocks"] = lambda one: cases[one].column("blocks")
    return found


def _elsewhere(cases: Sequence[Case], without: set[str]) -> NDArray:
    """(networks,) mean outcome on other data sets, in deviations."""
    rest = [standardised(case.truth[:, None])[:, 0] for case in cases if case.name not in without]
    return np.mean(rest, axis=0)


def _gained(cases: Sequence[Case], one: int) -> NDArray:
    """(networks,) the probe and the mean share of its error that training took away on other data sets."""
    others = [case for case in cases if case.name != cases[one].name]
    shares = [(case.truth - case.column("probe")) / np.maximum(1 - case.column("probe"), 0.02) for case in others]
    mine = cases[one].column("probe")
    return mine + (1 - mine) * np.mean(shares, axis=0)


def _softer(case: Case, name: str) -> NDArray:
    """(networks,) of a measure of the probe's answers, higher is better."""
    return np.array([each["softer"][name] for each in case.said]) * (-1 if name == "log_loss" else 1)


def _plain(case: Case) -> NDArray:
    """(networks,) half the share of right answers, half their mean probability: no other network is asked."""
    return (case.column("probe") + _softer(case, "own")) / 2


def _column(case: Case, name: str) -> NDArray:
    """(networks,) of the probe, one of its softer measures or an estimator."""
    if name == "probe":
        return case.column(name)
    return _softer(case, name) if name in SOFTER else case.estimates(name)


def _together(case: Case, names: Sequence[str]) -> NDArray:
    """(networks,) the mean of estimates, each in deviations over the networks."""
    columns = [_column(case, name) for name in names]
    return standardised(np.stack(columns, axis=1)).mean(axis=1)


def _weighed(cases: Sequence[Case], names: Sequence[str]) -> Foretell:
    """Estimates together, weights learned on the other data sets."""
    sets = sorted({case.name for case in cases})

    def column(case: Case, name: str, without: set[str]) -> NDArray:
        if name == "elsewhere":
            return _elsewhere(cases, without | {case.name})
        if name == "parameters":
            return np.log(case.column(name))
        values = _column(case, name)
        return np.where(np.isfinite(values), values, np.nanmin(values))

    def columns(case: Case, without: set[str]) -> NDArray:
        return np.stack([column(case, name, without) for name in names], axis=1)

    def foretell(one: int) -> NDArray:
        mine = cases[one]
        rest = [place for place, case in enumerate(cases) if case.name != mine.name]
        learned = learn(
            rest,
            lambda each, without: columns(cases[each], {mine.name, *(cases[place].name for place in without)}),
            lambda each: cases[each].truth,
        )
        return learned.of(columns(mine, set()))

    return foretell if len(sets) > 3 else lambda one: np.full(len(cases[one].networks), np.nan)
