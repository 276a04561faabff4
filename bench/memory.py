"""Peak memory of a fit at depth 1 as the rows grow: `memory.py N --kind pictures`, out of a random generator."""

import argparse
import tempfile
import time
from pathlib import Path

from made import pictures, texts
from process import empty_cache, fitted
from record import add

SOURCES = {"pictures": "efficientnet-lite0", "texts": "minilm-l6"}


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("rows", nargs="?", type=int, default=100_000)
    asked.add_argument("--kind", choices=SOURCES, default="pictures")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        start = time.perf_counter()
        made = pictures(place / "data", given.rows) if given.kind == "pictures" else texts(place / "d.csv", given.rows)
        print(f"{given.rows:,} {given.kind} made in {time.perf_counter() - start:.0f} s", flush=True)
        env = empty_cache(place / "cache", SOURCES[given.kind])
        told = fitted(made, place / "x.skill", env, "--depth", "1")
    if told is None:
        raise SystemExit(1)
    add(
        "memory",
        ("kind", "rows"),
        kind=given.kind,
        rows=given.rows,
        seeds=[0],
        value=told["memory"],
        seconds=told["wall"],
        metric=told["score"]["metric"],
        score=told["score"]["value"],
        stages={stage["name"]: [round(stage["seconds"], 2), round(stage["memory_mb"])] for stage in told["stages"]},
        command=f"bench/memory.py {given.rows} --kind {given.kind}",
    )


if __name__ == "__main__":
    main()
