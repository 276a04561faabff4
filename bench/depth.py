"""Every depth of a grid beside the depth that a fit takes by itself: `depth.py DATA... --seeds 0,1,2`."""

import argparse
import tempfile
from pathlib import Path

from process import empty_cache, fitted
from record import add, there

PICTURES, TEXTS = ("efficientnet-lite0", (1, 3, 5, 9, 13, 18)), ("minilm-l6", (1, 3, 5, 7, 8))
CHOSEN = "chosen"


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", nargs="+", type=Path)
    asked.add_argument("--seeds", default="0,1,2")
    asked.add_argument("--depths", help="with commas between; else a grid over the network")
    given = asked.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for data in given.data:
        source, depths = TEXTS if (data / "train.csv").is_file() else PICTURES
        if given.depths:
            depths = tuple(int(depth) for depth in given.depths.split(","))
        # the chosen depth goes first and pays for reading the data; the grid finds it in the store, as a user's would
        wanted = [(seed, depth) for seed in seeds for depth in (CHOSEN, *depths)]
        wanted = [(s, d) for s, d in wanted if not there("depth", data=data.name, seed=s, depth=d)]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as name:
            env = empty_cache(Path(name) / "cache", source)
            for seed, depth in wanted:
                one(data, seed, depth, Path(name) / "x.skill", env)


def one(data, seed, depth, skill, env):
    """One fit and its row."""
    told = fitted(data, skill, env, "--seed", str(seed), *(() if depth == CHOSEN else ("--depth", str(depth))))
    if told is None:
        print(f"{data.name} seed {seed} depth {depth}: failed", flush=True)
        return
    stages = {stage["name"]: stage["seconds"] for stage in told["stages"]}
    score = told["score"]
    add(
        "depth",
        ("data", "seed", "depth"),
        data=data.name,
        seed=seed,
        seeds=[seed],
        depth=depth,
        took=told["depth"]["chosen"],
        metric=score["metric"],
        value=score["value"],
        low=score["low"],
        high=score["high"],
        rows=score["n"],
        seconds=told["wall"],
        read_seconds=stages.get("read through the network", 0.0),
        learn_seconds=stages.get("learn", 0.0),
        command=f"bench/depth.py {data.name} --seeds {seed}" + ("" if depth == CHOSEN else f" --depths {depth}"),
    )


if __name__ == "__main__":
    main()
