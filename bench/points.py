"""What points to go on from cost: `points.py TABLE` tunes every layer of MiniLM with and without them, in turn.

`value` is the share of a run's seconds that went into saving points; `ratio` compares whole runs, with the noise of the
machine.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from record import add, mean_interval

from headstart.adapt.held import open_held
from headstart.adapt.interrupted import Interrupted
from headstart.adapt.recipes import recipes
from headstart.adapt.tune import tune
from headstart.core.checkpoint import POINT, Checkpoint
from headstart.data.dataset import Options
from headstart.data.read import read
from headstart.places import cache_folder
from headstart.sources.find import find

NETWORK = "minilm-l6"


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", type=Path)
    asked.add_argument("--turns", type=int, default=3)
    asked.add_argument("--threads", type=int, default=0)
    given = asked.parse_args()
    cache, data = cache_folder(), read(given.data, Options())
    data = data.take(np.flatnonzero(data.part == "train")) if data.part is not None else data
    card = find(NETWORK, cache)
    held = open_held(card, cache)
    (recipe,) = recipes(
        card, len(held.taps) + 1, len(data), len(data.classes), "classes", precision=held.precision, seed=0
    )
    took, saving = {"with": [], "without": []}, []
    size = 0
    save = Checkpoint.save

    def timed(self, *point):
        start = time.perf_counter()
        save(self, *point)
        saving.append(time.perf_counter() - start)

    Checkpoint.save = timed
    shares = []
    for _ in range(given.turns):
        for what, seconds in took.items():
            folder = Path(tempfile.mkdtemp())
            kept = Interrupted(folder, False, print) if what == "with" else None
            start = time.perf_counter()
            saving.clear()
            tune(card, data, data.y, recipe, cache, threads=given.threads, interrupted=kept)
            seconds.append(time.perf_counter() - start)
            if kept:
                shares.append(sum(saving) / seconds[-1])
            size = max([size, *(path.stat().st_size for path in folder.rglob(POINT))])
            shutil.rmtree(folder)
    ratios = [a / b for a, b in zip(took["with"], took["without"], strict=True)]
    mean, low, high = mean_interval(shares)
    add(
        "points",
        ("rows",),
        network=NETWORK,
        rows=len(data),
        value=mean,
        low=low,
        high=high,
        ratio=mean_interval(ratios),
        took=took,
        megabytes=size / 1e6,
        command=f"bench/points.py {given.data.name}",
    )


if __name__ == "__main__":
    main()
