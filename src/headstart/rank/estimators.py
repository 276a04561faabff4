"""The estimators that read features and labels alone, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from numpy.typing import NDArray

from headstart.rank.gbc import gbc
from headstart.rank.hscore import h_score
from headstart.rank.knn import knn
from headstart.rank.logme import logme
from headstart.rank.nleep import n_leep
from headstart.rank.probe import probe
from headstart.rank.sfda import sfda
from headstart.rank.transrate import transrate

Estimator = Callable[[NDArray, NDArray], float]

ESTIMATORS: Mapping[str, Estimator] = {
    "knn": knn,
    "logme": logme,
    "h_score": h_score,
    "n_leep": n_leep,
    "transrate": transrate,
    "sfda": sfda,
    "gbc": gbc,
    "probe": probe,
}

EVERY_TASK = ("knn", "logme", "probe")  # those that also take several labels and numbers
