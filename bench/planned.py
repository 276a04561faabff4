"""What plans foretell beside what comes of the fits that follow them: `planned.py DATA... [--rows N]`."""

import argparse
import csv
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from process import HEADSTART, empty_cache, fitted, timed
from record import add, cache_for, there

NETWORKS = {"image": "efficientnet-lite0,efficientnet-lite1", "text": "minilm-l6"}
WITHIN = 0.3  # of what was foretold: the goal for seconds and memory


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", nargs="+", type=Path)
    asked.add_argument("--sources", help="else two picture networks, or one of texts")
    asked.add_argument("--rows", type=int, help="rows to learn from; else all")
    asked.add_argument("--budget", help="limit of the plan, such as 10s")
    asked.add_argument("--cache", type=Path, help="folder in which costs stay noted from run to run; else a new one")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        kept = given.cache or Path(name) / "cache"
        env = None
        for data in given.data:
            text = (data / "train.csv").is_file()
            sources = given.sources or NETWORKS["text" if text else "image"]
            said = {"data": data.name, "sources": sources, "rows": given.rows, "limit": given.budget or "none"}
            if there("foretold", **said):
                continue
            if env is None:
                env = cache_for(kept) if (kept / "files").exists() else empty_cache(kept, *sources.split(","))
            with tempfile.TemporaryDirectory() as place:
                one(fewer(data, given.rows, Path(place) / data.name), Path(place), env, said, text)
            shutil.rmtree(kept / "store", ignore_errors=True)


def one(data, place, env, said, text):
    """A plan, the fit that follows it, and their row."""
    plan = place / "plan.toml"
    limit = [] if said["limit"] == "none" else ["--budget", said["limit"]]
    command = [*HEADSTART, "plan", str(data), "-o", str(plan), "--sources", said["sources"], "--json", *limit]
    out, wall, _ = timed(command, env=env)
    if out is None:
        print(f"{data.name}: no plan", flush=True)
        return
    chosen = next(choice for choice in json.loads(out)["choices"] if choice["chosen"])
    told = fitted(data, place / "x.skill", env, "--plan", str(plan))
    if told is None:
        print(f"{data.name}: no fit", flush=True)
        return
    foretold = {each["name"]: each for each in told["foretold"]}
    add(
        "foretold",
        ("data", "sources", "rows", "limit"),
        **said,
        kind="texts" if text else "pictures",
        seeds=[0],
        chosen=f"{chosen['source']}, depth {chosen['depth']}",
        planning_seconds=wall,
        wall=told["wall"],
        tested=told["score"]["n"],
        from_rehearsal="rehearsal" in chosen["seconds"]["origin"],
        **{name: {k: each[k] for k in ("value", "low", "high", "happened")} for name, each in foretold.items()},
        near={name: abs(each["happened"] / each["value"] - 1) <= WITHIN for name, each in foretold.items()},
        held={name: each["low"] <= each["happened"] <= each["high"] for name, each in foretold.items()},
        command=f"bench/planned.py {data.name} --sources {said['sources']}"
        + (f" --rows {said['rows']}" if said["rows"] else "")
        + ("" if said["limit"] == "none" else f" --budget {said['limit']}"),
    )


def fewer(data, rows, folder):
    """The same data with so many rows to learn from, drawn with seed 0, and the same test part."""
    if rows is None:
        return data
    draw = np.random.default_rng(0)
    if (data / "train.csv").is_file():
        folder.mkdir()
        shutil.copy(data / "test.csv", folder / "test.csv")
        with (data / "train.csv").open(encoding="utf8", newline="") as file:
            header, *lines = list(csv.reader(file))
        with (folder / "train.csv").open("w", encoding="utf8", newline="") as file:
            csv.writer(file).writerows([header, *(lines[k] for k in sorted(draw.permutation(len(lines))[:rows]))])
        return folder
    shutil.copytree(data / "test", folder / "test")
    files = sorted(path for path in (data / "train").rglob("*") if path.is_file())
    for k in draw.permutation(len(files))[:rows]:
        to = folder / "train" / files[k].relative_to(data / "train")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files[k], to)
    return folder


if __name__ == "__main__":
    main()
