"""What `rank` foretells beside what fine-tuning then gives: `live.py KIND --data DATA --out FOLDER`.

One file for each network, data set and draw, so that it can be stopped and started again; `agree.py` reads them.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import drawn
import numpy as np
from numpy.typing import NDArray
from record import commit, cpu
from smaller import cards

from headstart.adapt.learn import Learned, Learner
from headstart.adapt.probe import Ask, Outputs
from headstart.adapt.suits import Suits, suits, targets
from headstart.data.dataset import Dataset
from headstart.data.split import choice_folds, some, within
from headstart.errors import DataError
from headstart.heads.logistic import softmax
from headstart.heads.metrics import resampled
from headstart.heads.temperature import temperature
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.rank.estimators import ESTIMATORS
from headstart.sources.card import Card
from headstart.verbs.prepared import Prepared, ask_of, opened, prepared
from headstart.verbs.rank import MOST

DRAWS = 1000
SHARE = 0.25  # of a picture network's blocks that are tuned, as `fit` tries first; texts take the recipe's depth
DEPTH = {"mpnet-base": 5, "mpnet-base-first8": 5}  # the last four layers: all twelve take too long here


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("kind", choices=("pictures", "texts"))
    asked.add_argument("--data", type=Path, required=True, help="folder of the data on disk")
    asked.add_argument("--out", type=Path, required=True, help="folder of the outcomes")
    asked.add_argument("--sets", help="names with commas between; else all")
    asked.add_argument("--networks", help="names with commas between; else all")
    asked.add_argument("--seeds", default="0")
    asked.add_argument("--threads", type=int, default=1)
    asked.add_argument("--foretell", action="store_true", help="foretell anew what is there, and train nothing")
    given = asked.parse_args()
    hush(given.threads)
    sets = given.sets.split(",") if given.sets else list({"pictures": drawn.PICTURES, "texts": drawn.TEXTS}[given.kind])
    networks = cards(given.kind, cache_folder(), given.out / "networks")
    wanted = given.networks.split(",") if given.networks else list(networks)
    for seed in map(int, given.seeds.split(",")):
        for name in sets:
            place = drawn.write(given.kind, name, seed, given.data, given.out / "data")
            todo = [each for each in wanted if path_of(given.out, name, seed, each).is_file() == given.foretell]
            ready = prepared(place, None, seed=seed, threads=given.threads) if todo else None
            for each in todo:
                assert ready is not None
                path = path_of(given.out, name, seed, each)
                if given.foretell:
                    features = opened(networks[each], ready.data, cache_folder(), threads=given.threads, told=print)
                    said = foretell(features, ready, ask_of(ready.data, "accuracy", seed=seed))
                    write(path, {**json.loads(path.read_text("utf8")), **said})
                else:
                    who = {"kind": given.kind, "set": name, "seed": seed, "network": each}
                    one(networks[each], ready, path, given.threads, who)


def one(card: Card, ready: Prepared, path: Path, threads: int, who: dict) -> None:
    """One outcome and its file."""
    start = time.perf_counter()
    found = outcome(card, ready, who["seed"], threads)
    spent = {"seconds": time.perf_counter() - start, "cpu": cpu(), "commit": commit()}
    write(path, {**who, **found, **spent})
    said = (f"{key} {show(found[key])}" for key in ("probe", "head", "tuned", "judged", "beside"))
    print(who["set"], who["seed"], who["network"], *said, f"{spent['seconds']:.0f} s", flush=True)


def show(value: float | list[int] | None) -> str:
    """A number, or the share of rows that were right."""
    return "-" if value is None else f"{float(np.mean(value)):.3f}"


def path_of(folder: Path, name: str, seed: int, network: str) -> Path:
    """Of one outcome."""
    return folder / "outcomes" / f"{name}-{seed}-{network}.json"


def write(path: Path, said: dict) -> None:
    """A file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".partial")
    part.write_text(json.dumps(said), "utf8")
    part.replace(path)


def foretell(features: Outputs, ready: Prepared, ask: Ask) -> dict:
    """What is foretold of one network from rows to learn from, without training."""
    rows = some(ready.data, ready.parts.train, MOST, seed=ask.seed)
    start = time.perf_counter()
    features.read(rows)
    read = time.perf_counter() - start
    start = time.perf_counter()
    found = suits(features, rows, ask)
    return {
        "probe": found.score,
        "probe_seconds": time.perf_counter() - start,
        "interval": found.interval,
        "draws": found.draws(DRAWS).tolist(),
        "layers": {" + ".join(rung.taps): rung.scores for rung in found.layers},
        "fold_scores": _fold_scores(found),
        "estimates": _estimates(features, ready.data, rows),
        "softer": _softer(found),
        "read_seconds": read,
    }


def outcome(card: Card, ready: Prepared, seed: int, threads: int) -> dict:
    """What is foretold of one network, and what it then scores on test rows that nothing has seen."""
    data, train, test = ready.data, ready.parts.train, ready.parts.test
    assert test is not None
    cache, ask = cache_folder(), ask_of(ready.data, "accuracy", seed=seed)
    features = opened(card, data, cache, threads=threads, told=print)
    foretold = foretell(features, ready, ask)
    folds = within(choice_folds(data, train, seed=seed), train)
    learner = Learner(data, features.held, features, ask, cache, depth=1)
    head = learner.learn(train, folds, last=False)
    right = _right(head, data, test)
    start = time.perf_counter()
    depth = _depth(card, len(features.taps) + 1)
    deeper = replace(learner, depth=depth).learn(train, folds, last=False) if depth else None
    tuning = time.perf_counter() - start
    return {
        **foretold,
        "head_cv": head.fitted.cv_score,
        "taps": head.taps,
        "head": right,
        "tuned": None if deeper is None else _right(deeper, data, test),
        "depth": depth,
        "judged": None if deeper is None else deeper.rungs[-1].score,
        "beside": None if deeper is None else deeper.rungs[-1].beside,
        "blocks": len(features.taps) + 1,
        "parameters": _parameters(card, cache),
        "precision": features.held.precision,
        "tuning_seconds": tuning,
        "learned_from": len(train),
        "classes": len(data.classes),
    }


def _depth(card: Card, blocks: int) -> int | None:
    """Blocks that learn; none for weights from a generator, which so few steps teach nothing."""
    if card.name.endswith("random"):
        return None
    if card.modality == "text":
        return DEPTH.get(card.name, blocks - 1)
    return max(2, round(blocks * SHARE))


def _right(learned: Learned, data: Dataset, test: NDArray[np.int64]) -> list[int]:
    """For each test row, whether the answer is right."""
    return (learned.answers(test).argmax(axis=1) == targets(data, test)).astype(int).tolist()


def _fold_scores(foretold: Suits) -> list[int]:
    """For each answered row, whether the probe was right."""
    y = targets(foretold.features.data, foretold.tested)
    return (foretold.out.argmax(axis=1) == y).astype(int).tolist()


def _softer(foretold: Suits) -> dict[str, float | list[float]]:
    """The probe's answers for rows it did not learn from, by measures that see more than right and wrong."""
    y = targets(foretold.features.data, foretold.tested)
    logs = np.log(np.maximum(foretold.out, 1e-12))
    hot, loss = temperature(logs, y, "classes")
    sure = softmax(logs / hot)
    own = sure[np.arange(len(y)), y]
    rest = np.where(np.eye(sure.shape[1], dtype=bool)[y], -np.inf, sure).max(axis=1)
    units = foretold.tested if foretold.features.data.groups is None else foretold.features.data.groups[foretold.tested]
    # the mean distance from 1, on the rows of the same draws as those of the accuracy
    away = resampled(
        "mae", own[:, None], np.ones((len(own), 1)), "numbers", groups=units, seed=foretold.ask.seed, draws=DRAWS
    )
    draws = (1 - away).tolist()
    return {"log_loss": loss, "own": float(own.mean()), "margin": float((own - rest).mean()), "own_draws": draws}


def _estimates(features: Outputs, data: Dataset, rows: NDArray[np.int64]) -> dict[str, float | None]:
    """Every published estimator on the last layer; none where the rows do not allow it."""
    x, y = features.matrix(rows, features.last), targets(data, rows)
    found: dict[str, float | None] = {}
    for name, estimator in ESTIMATORS.items():
        try:
            value = float(estimator(x, y))
        except DataError:
            value = float("nan")
        found[name] = value if np.isfinite(value) else None
    return found


def _parameters(card: Card, cache: Path) -> int:
    from headstart.sources.load import load

    stack = load(card, cache, outputs=2)
    return sum(p.numel() for name in stack.names if name != "head" for p in stack.blocks[name].parameters())


if __name__ == "__main__":
    main()
