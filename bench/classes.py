"""Digits learned two at a time with nothing kept of the earlier ones: `classes.py MNIST [--rows N] [--seeds K]`."""

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
from record import add, mean_interval

from headstart.adapt.held import open_held
from headstart.adapt.probe import Ask, Features
from headstart.adapt.renew import Lesson, Way
from headstart.core.store import Store
from headstart.data.dataset import Dataset
from headstart.heads.continual import discriminant
from headstart.heads.linear import fit_head
from headstart.heads.moments import Moments
from headstart.places import cache_folder
from headstart.sources.fetch import pull
from headstart.sources.find import find

NETWORK = "efficientnet-lite0"
TASKS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))  # that come one after the other
DIGITS = 10


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path, help="folder of the four files of MNIST")
    asked.add_argument("--rows", type=int, default=2000, help="pictures to learn from, drawn anew for each seed")
    asked.add_argument("--test", type=int, default=10_000, help="pictures of the official test part, the first ones")
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--cache", type=Path, help="folder of networks and stored activations; else the user's")
    given = asked.parse_args()
    cache = given.cache or cache_folder()
    card = find(NETWORK, cache)
    pull(card, cache, print)
    held = open_held(card, cache, told=print)
    learn, test = (part(given.data, name) for name in ("train", "t10k"))
    test = test.take(np.arange(min(given.test, len(test))))
    layers = {"all layers joined": held.taps, "last layer": held.taps[-1:]}
    seen = features(held, test, cache, layers)
    found = {}
    for seed in range(given.seeds):
        rows = np.random.default_rng([seed, 51]).permutation(len(learn))[: given.rows]
        mine = learn.take(rows)
        for name, x in features(held, mine, cache, layers).items():
            for way, (head, seconds) in ways(x, mine.y, seed).items():
                right = float((head.scores(seen[name]).argmax(1) == test.y).mean())
                found.setdefault((name, way), []).append((right, seconds))
    for (name, way), each in found.items():
        right, seconds = zip(*each, strict=True)
        value, low, high = mean_interval(right)
        add(
            "classes",
            ("data", "layers", "way", "rows", "tested"),
            data="split MNIST, 5 tasks",
            network=NETWORK,
            layers=name,
            way=way,
            rows=given.rows,
            tested=len(test),
            seeds=list(range(given.seeds)),
            value=value,
            low=low,
            high=high,
            repeats=list(right),
            seconds=float(np.mean(seconds)),
            command=f"bench/classes.py MNIST --rows {given.rows} --test {len(test)} --seeds {given.seeds}",
        )


def part(folder, name):
    """One part of MNIST as a data set in memory."""
    with gzip.open(folder / f"{name}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz") as file:
        y = np.frombuffer(file.read(), np.uint8, offset=8).astype(np.int64)
    names = tuple(f"{name} row {row}" for row in range(len(y)))
    classes = tuple(map(str, range(DIGITS)))
    return Dataset(folder, "image", "classes", tuple(images), names, y, classes, None, None, None, {}, ())


def features(held, data, cache, layers):
    """Name of the layers -> (n, d) what the held network says of these pictures."""
    outputs = Features(held, data, held.table(Store(cache / "store")))
    rows = np.arange(len(data))
    outputs.read(rows)
    return {name: outputs.matrix(rows, taps) for name, taps in layers.items()}


def ways(x, y, seed):
    """Name -> the head after all tasks and its seconds: task after task, then on all rows at once."""
    start = time.perf_counter()
    moments = None
    for task in TASKS:
        moments = lesson(x, y, task, moments, seed).moments()
    kept = time.perf_counter() - start
    found = {}
    for name, shrinkage in (("discriminant from moments", None), ("nearest mean", 1.0)):
        head, seconds = timed(lambda shrinkage=shrinkage: discriminant(moments, shrinkage=shrinkage))
        found[name] = head, kept + seconds
    # of the last two digits the rows are there; all others are drawn as their moments say
    before = None
    for task in TASKS[:-1]:
        before = lesson(x, y, task, before, seed).moments()
    head, seconds = timed(lambda: lesson(x, y, TASKS[-1], before, seed).head(Way("logistic")))
    found["logistic on pseudo features"] = head, kept + seconds
    found["discriminant, all at once"] = timed(lambda: discriminant(Moments.of(x, y, "classes", DIGITS)))
    found["logistic, all at once"] = timed(lambda: fit_head(x, y, task="classes", seed=seed, kind="logistic").head)
    return found


def lesson(x, y, task, before, seed):
    """The rows of two digits, and the moments of those before."""
    mine = np.isin(y, task)
    return Lesson(x[mine], y[mine], Ask("classes", "accuracy", DIGITS, seed=seed), before)


def timed(make):
    start = time.perf_counter()
    return make(), time.perf_counter() - start


if __name__ == "__main__":
    main()
