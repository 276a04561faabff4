"""Rotten Tomatoes sentences as folders of train.csv and test.csv: one folder per label budget and draw."""

import csv
import sys
from pathlib import Path

import numpy as np

from headstart.places import cache_folder
from headstart.sources.fetch import path_of
from headstart.verbs.demo import _REVIEWS

TEST, BUDGETS, DRAWS = 2000, (64, 256, 1024, 3000), 5


def main(folder: Path) -> None:
    with path_of(_REVIEWS, "table", cache_folder()).open(encoding="utf8", newline="") as file:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(file) if row["source"] != "imdb"]
    y = np.array([label for _, label in rows])
    order = np.random.default_rng(0).permutation(len(rows))
    test, rest = order[:TEST], order[TEST:]
    for budget in BUDGETS:
        for draw in range(DRAWS):
            chosen = np.random.default_rng([budget, draw])
            train = np.concatenate([chosen.permutation(rest[y[rest] == kind])[:budget] for kind in (0, 1)])
            place = folder / f"reviews-{budget}-{draw}"
            place.mkdir(parents=True, exist_ok=True)
            for part, picked in (("train", train), ("test", test)):
                with (place / f"{part}.csv").open("w", encoding="utf8", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(("text", "label"))
                    writer.writerows((rows[row][0], ("negative", "positive")[rows[row][1]]) for row in picked)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
