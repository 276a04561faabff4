"""What points to go on from cost: `points.py TABLE` tunes every layer of MiniLM with and without them, in turn."""

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
from headstart.core.checkpoint import POINT
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
    took = {"with": [], "without": []}
    size = 0
    for _ in range(given.turns):
        for what, seconds in took.items():
            folder = Path(tempfile.mkdtemp())
            kept = Interrupted(folder, False, print) if what == "with" else None
            start = time.perf_counter()
            tune(card, data, data.y, recipe, cache, threads=given.threads, interrupted=kept)
            seconds.append(time.perf_counter() - start)
            size = max([size, *(path.stat().st_size for path in folder.rglob(POINT))])
            shutil.rmtree(folder)
    shares = [a / b - 1 for a, b in zip(took["with"], took["without"], strict=True)]
    mean, low, high = mean_interval(shares)
    add(
        "points",
        ("rows",),
        network=NETWORK,
        rows=len(data),
        value=mean,
        low=low,
        high=high,
        took=took,
        megabytes=size / 1e6,
        command="bench/points.py DATA/emotion",
    )


if __name__ == "__main__":
    main()
