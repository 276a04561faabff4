"""Headstart beside its peers on the same folders; see bench/README.md."""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from headstart.places import cache_folder
from headstart.sources.fetch import FILES, pull
from headstart.sources.find import find
from headstart.sources.load import load

HERE = Path(__file__).parent
PEERS = {"texts": ("probe", "trainer", "setfit"), "pictures": ("script", "fastai")}
SETFIT_ROWS = 128  # its pairs grow with the square of the rows


def timed(command, env=None):
    """Output, wall seconds of the whole process and its peak memory in MB."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **(env or {})})
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0), err.seek(0)
        if status:
            print(err.read()[-1500:], file=sys.stderr)
            return None, time.perf_counter() - start, 0.0
        return out.read(), time.perf_counter() - start, usage.ru_maxrss / 1024


def weights_for(kind, folder):
    """The same weights in the form that the peers load."""
    cache = cache_folder()
    if kind == "pictures":
        card = find("efficientnet-lite0", cache)
        load(card, cache, outputs=2)
        return str(cache / FILES / f"{card.files['weights'].sha256}.safetensors")
    paths = pull(find("minilm-l6", cache), cache)
    names = {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}
    for role, name in names.items():
        (folder / name).symlink_to(paths[role].absolute())
    return str(folder)


def wilson(p, n):
    z = 1.96
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def ours(data, folder, options):
    # a fit that finds its features in the store is not what a first user sees
    subprocess.run([sys.executable, "-m", "headstart", "cache", "clear", "store"], check=True, capture_output=True)
    command = [sys.executable, "-m", "headstart", "fit", str(data), "-o", str(folder / "x.skill"), "--json", *options]
    out, wall, memory = timed(command)
    if out is None:
        return None
    told = json.loads((folder / "x.skill" / "metrics.json").read_text("utf8"))
    stages = {stage["name"]: stage["seconds"] for stage in told["stages"]}
    train = stages.get("learn", 0.0) + stages.get("read through the network", 0.0)
    rest = {"depth": told["depth"]["chosen"], "rows": told["score"]["n"]}
    return {"accuracy": told["score"]["value"], "train_seconds": train, "wall": wall, "memory": memory, **rest}


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("kind", choices=PEERS)
    asked.add_argument("data", nargs="+", type=Path)
    asked.add_argument("--peers", required=True)
    asked.add_argument("--only", help="ways, with commas between")
    asked.add_argument("--fit", default="", help="further options of headstart fit")
    given = asked.parse_args()
    ways = given.only.split(",") if given.only else ["headstart", *PEERS[given.kind]]
    store = HERE / "results.json"
    results = json.loads(store.read_text("utf8")) if store.is_file() else []
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as name:
        weights = weights_for(given.kind, Path(name))
        for data in given.data:
            rows = 0
            for way in ways:
                if way == "setfit" and not any(f"-{SETFIT_ROWS // 2}-" in part for part in data.parts):
                    continue
                if way == "headstart":
                    with tempfile.TemporaryDirectory() as place:
                        found = ours(data, Path(place), given.fit.split())
                    rows = found["rows"] if found else 0
                else:
                    out, wall, memory = timed([given.peers, str(HERE / "ways.py"), way, str(data), weights])
                    found = (
                        None if out is None else {**json.loads(out.splitlines()[-1]), "wall": wall, "memory": memory}
                    )
                if found is None:
                    print(f"{data.name} {way}: failed")
                    continue
                rows = rows or found.get("rows", 0)
                low, high = wilson(found["accuracy"], rows) if rows else (float("nan"),) * 2
                row = {
                    "data": data.name,
                    "way": way,
                    **found,
                    "rows": rows,
                    "low": low,
                    "high": high,
                    "commit": commit,
                    "headstart": version("headstart") if way == "headstart" else "",
                    "cpu": platform.processor(),
                    "command": f"bench/run.py {given.kind} {data.name}",
                }
                results = [r for r in results if (r["data"], r["way"]) != (data.name, way)] + [row]
                print(json.dumps(row), flush=True)
                store.write_text(json.dumps(results, indent=1), "utf8")
    write(results)


def write(results):
    """docs/results.md out of all results so far."""
    lines = [
        "# Results",
        "",
        "Generated by `bench/run.py`; 95 % intervals are Wilson's. Ratios are to headstart's row.",
        "",
    ]
    lines += ["| data | way | accuracy % | 95 % | whole process s | ratio | training s | memory MB | depth | commit |"]
    lines += ["| --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    base = {r["data"]: r["wall"] for r in results if r["way"] == "headstart"}
    for r in sorted(results, key=lambda r: (r["data"], r["way"] != "headstart", r["way"])):
        ratio = r["wall"] / base[r["data"]] if r["data"] in base else float("nan")
        lines.append(
            f"| {r['data']} | {r['way']} | {100 * r['accuracy']:.1f} | {100 * r['low']:.1f} to {100 * r['high']:.1f} "
            f"| {r['wall']:.1f} | {ratio:.1f} | {r['train_seconds']:.1f} | {r['memory']:.0f} | {r.get('depth', '')} "
            f"| {r['commit']} |"
        )
    (HERE.parent / "docs" / "results.md").write_text("\n".join(lines) + "\n", "utf8")


if __name__ == "__main__":
    main()
