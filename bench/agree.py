"""How what `rank` foretells agrees with what fine-tuning gave: `agree.py FOLDER` reads the outcomes of `live.py`.

The truth of a network on a data set is the accuracy on test rows of its new head or of its tuned tail, whichever `fit`
would keep: held-out rows to learn from decide, with what such a tail gained on other data. Where a set has several
draws, they are averaged before anything is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import record
from cases import Case, by_set, cases_of
from foretold import Foretell, ways
from numpy.typing import NDArray
from scipy.stats import weightedtau

from headstart.rank.chances import alike, chances

DRAWS = 4000
HALVES = 200  # random divisions of the test rows
NEAR = 0.05  # behind the best probe: networks that may still win
BEYOND = (0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)  # deviations that are tried
WITHIN = 0.005  # of the best: as good as it


def judge(cases: Sequence[Case], foretell: Foretell) -> dict[str, float] | None:
    """Weighted tau and what the pick loses, with intervals over data sets and test rows; none where undefined."""
    scores = [np.asarray(foretell(one), float) for one in range(len(cases))]
    if any(not np.isfinite(each).any() for each in scores):
        return None
    known = [np.where(np.isfinite(each), each, np.nanmin(each) - 1) for each in scores]
    tau = by_set(cases, [_tau(case.truth, each) for case, each in zip(cases, known, strict=True)])
    # of networks that are foretold the same, each is picked as often
    picks = [np.flatnonzero(each == each.max()) for each in known]
    lost = by_set(cases, [100 * (c.truth.max() - c.truth[p].mean()) for c, p in zip(cases, picks, strict=True)])
    drawn = by_set(cases, [_redrawn(case, pick) for case, pick in zip(cases, picks, strict=True)])
    halved = by_set(cases, [_halved(case, pick) for case, pick in zip(cases, picks, strict=True)])
    draw = np.random.default_rng(0).integers(len(tau), size=(DRAWS, len(tau)))
    over_rows = drawn[draw, np.arange(DRAWS)[:, None]].mean(axis=1)
    # draws of test rows widen the best's lead, as the rows themselves did: their spread is put around the value
    over_rows = np.maximum(over_rows - over_rows.mean() + lost.mean(), 0)
    found = {"tau": float(tau.mean()), "lost": float(lost.mean()), "lost_apart": float(halved.mean())}
    for name, values in (("tau", tau[draw].mean(axis=1)), ("lost", over_rows)):
        low, high = np.percentile(values, (2.5, 97.5))
        found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def _tau(truth: NDArray, foretold: NDArray) -> float:
    """Weighted Kendall tau; 0 where all are foretold the same."""
    return float(np.asarray(weightedtau(truth, foretold)[0])) if np.ptp(foretold) > 0 else 0.0


def _redrawn(case: Case, pick: NDArray) -> NDArray:
    """(DRAWS,) points lost on test rows drawn with replacement."""
    n = case.right.shape[1]
    counts = np.random.default_rng(1).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    truth = counts @ case.right.T / n
    return 100 * (truth.max(axis=1) - truth[:, pick].mean(axis=1))


def _halved(case: Case, pick: NDArray) -> float:
    """Points lost on one half of the test rows against the network that is best on the other half."""
    draw, n, lost = np.random.default_rng(2), case.right.shape[1], []
    for _ in range(HALVES):
        order = draw.permutation(n)
        a, b = case.right[:, order[: n // 2]].mean(axis=1), case.right[:, order[n // 2 :]].mean(axis=1)
        lost += [b[a.argmax()] - b[pick].mean(), a[b.argmax()] - a[pick].mean()]
    return float(100 * np.mean(lost))


def picked_at_random(cases: Sequence[Case]) -> dict[str, float]:
    """What a network drawn by lot loses."""
    lost = by_set(cases, [100 * (case.truth.max() - case.truth.mean()) for case in cases])
    draw = np.random.default_rng(0).integers(len(lost), size=(DRAWS, len(lost)))
    low, high = np.percentile(lost[draw].mean(axis=1), (2.5, 97.5))
    apart = by_set(cases, [_halved(case, np.arange(len(case.networks))) for case in cases])
    none = dict.fromkeys(("tau", "tau_low", "tau_high"), 0.0)
    return {**none, "lost": float(lost.mean()), "lost_low": float(low), "lost_high": float(high),
            "lost_apart": float(apart.mean())}  # fmt: skip


def beyond(cases: Sequence[Case], near: float = np.inf) -> dict[str, float]:
    """Deviation over networks of truth less probe within a data set, and what is left of it without noise of rows.

    Args:
        near: behind the best probe; networks farther behind are left out.
    """
    total, test, probe, freedom = 0.0, 0.0, 0.0, 0
    for case in cases:
        mine = case.column("probe")
        kept = mine >= mine.max() - near
        if kept.sum() < 2:
            continue
        gap = (case.truth - mine)[kept]
        total += float(((gap - gap.mean()) ** 2).sum())
        n = case.right.shape[1]
        rows = case.right[kept] - case.right[kept].mean(axis=0)
        test += float(rows.var(axis=1, ddof=1).sum() / n)
        spread = case.spread[:, kept]
        probe += float((spread - spread.mean(axis=1, keepdims=True)).var(axis=0, ddof=1).sum())
        freedom += int(kept.sum()) - 1
    if not freedom:
        return {}
    whole, rest = total / freedom, (total - test - probe) / freedom
    return {
        "deviation": whole**0.5,
        "of_test_rows": (test / freedom) ** 0.5,
        "of_probe_rows": (probe / freedom) ** 0.5,
        "beyond": max(rest, 0.0) ** 0.5,
        "freedom": freedom,
    }


def beyond_interval(cases: Sequence[Case], near: float) -> tuple[float, float]:
    """95 % of `beyond` over data sets."""
    names = list(dict.fromkeys(case.name for case in cases))
    grouped = [[case for case in cases if case.name == name] for name in names]
    draw, found = np.random.default_rng(3), []
    for _ in range(500):
        chosen = [case for place in draw.integers(len(names), size=len(names)) for case in grouped[place]]
        found.append(beyond(chosen, near).get("beyond", np.nan))
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return float(low), float(high)


def calibration(cases: Sequence[Case], deviation: float, softer: bool) -> dict[str, float | list[list[float]]]:
    """Whether chances and regret come true when this deviation is assumed.

    Args:
        deviation: beyond the rows.
        softer: whether the mean of accuracy and probability of the right class is what foretells.

    What is the best is itself known from test rows alone: a network counts as the best in the share of draws of test
    rows in which it is.
    """
    log, inside, covered, foretold, happened, sizes = [], [], [], [], [], []
    said, come = [], []
    for case in cases:
        chance, regret = chances(case.softer_spread if softer else case.spread, beyond=deviation, seed=0)
        n = case.right.shape[1]
        truth = np.random.default_rng(4).multinomial(n, np.full(n, 1 / n), size=DRAWS) @ case.right.T / n
        top = truth == truth.max(axis=1, keepdims=True)
        really = (top / top.sum(axis=1, keepdims=True)).mean(axis=0)
        log.append(float((really * np.log(np.maximum(chance, 1e-3))).sum()))
        few = alike(chance)
        inside.append(float(really[few].sum()))
        covered.append(float((case.truth[few] >= case.truth.max() - WITHIN).any()))
        sizes.append(len(few))
        own = case.column("probe")
        pick = int((own + np.array([each["softer"]["own"] for each in case.said]) if softer else own).argmax())
        foretold.append(100 * float(regret[pick]))
        happened.append(100 * float(case.truth.max() - case.truth[pick]))
        said += chance.tolist()
        come += really.tolist()
    bins = []
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
        here = [place for place, value in enumerate(said) if low <= value < high]
        if here:
            bins.append([len(here), float(np.mean(np.array(said)[here])), float(np.mean(np.array(come)[here]))])
    columns = {
        "log_score": log,
        "alike_holds_the_best": inside,
        "alike_holds_one_as_good": covered,
        "alike_size": sizes,
        "regret_foretold": foretold,
        "regret_happened": happened,
    }
    return {**{name: float(by_set(cases, values).mean()) for name, values in columns.items()}, "bins": bins}


GROUPS: Mapping[str, Callable[[str], bool]] = {
    "all": lambda name: True,
    "without random weights": lambda name: not name.endswith("random"),
    "whole networks": lambda name: "first" not in name and not name.endswith("random"),
}


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("folder", type=Path)
    asked.add_argument("--truth", choices=("kept", "better", "head", "tuned"), default="kept")
    asked.add_argument("--records", type=Path, help="file of the rows; else results.json")
    given = asked.parse_args()
    record.RESULTS = given.records or record.RESULTS
    found = {kind: cases_of(given.folder, kind, given.truth) for kind in ("pictures", "texts")}
    found["both"] = [case for every in found.values() for case in every]
    for kind, every in found.items():
        for group, wanted in GROUPS.items():
            cases = [case.of(wanted) for case in every]
            if cases and min(len(case.networks) for case in cases) > 2:
                rank(cases, _about(cases, kind, group, given.truth))
        if every:
            trust(every, _about(every, kind, "all", given.truth))


def _about(cases: Sequence[Case], kind: str, group: str, truth: str) -> dict:
    """What every row says of what it was measured on."""
    return {
        "kind": kind,
        "group": group,
        "truth": truth,
        "networks": len({name for case in cases for name in case.networks}),
        "sets": len({case.name for case in cases}),
        "draws": len(cases),
        "command": f"bench/agree.py FOLDER --truth {truth}",
        "seeds": sorted({case.said[0]["seed"] for case in cases}),
        "commit": " ".join(sorted({each["commit"] for case in cases for each in case.said})),
    }


def rank(cases: Sequence[Case], about: dict) -> None:
    """A row for each way to foretell an order."""
    found = {name: judge(cases, way) for name, way in ways(cases).items()}
    found["a network drawn by lot"] = picked_at_random(cases)
    for name, judged in found.items():
        if judged:
            record.add("live ranking", ("kind", "group", "truth", "way"), way=name, **about, **judged)


def trust(cases: Sequence[Case], about: dict) -> None:
    """Rows of what no probe foretells, and of the chances that follow when some of that is assumed."""
    for near in (np.inf, NEAR):
        if measured := beyond(cases, near):
            low, high = beyond_interval(cases, near)
            limits = {"near": None if near == np.inf else near, "beyond_low": low, "beyond_high": high}
            record.add("live deviation", ("kind", "group", "truth", "near"), **about, **measured, **limits)
    for deviation in BEYOND:
        for softer in (False, True):
            said = calibration(cases, deviation, softer)
            what = {"assumed": deviation, "by": "accuracy and probability" if softer else "accuracy"}
            record.add("live calibration", ("kind", "group", "truth", "assumed", "by"), **what, **about, **said)


if __name__ == "__main__":
    main()
