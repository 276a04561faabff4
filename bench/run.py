"""Headstart beside its peers on the same folders; see bench/README.md."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from process import timed
from record import HERE, add, wilson

from headstart.places import cache_folder
from headstart.sources.fetch import FILES, pull
from headstart.sources.find import find

PEERS = {"texts": ("probe", "trainer", "setfit", "autogluon"), "pictures": ("script", "fastai")}
CONVERT = """
from headstart.places import cache_folder
from headstart.sources.find import find
from headstart.sources.load import load
load(find("efficientnet-lite0", cache_folder()), cache_folder(), outputs=2)
"""
SCRATCH = 120  # seconds of training from random weights
# SetFit's pairs grow with the square of the rows; AutoGluon has its ten minutes where they are of use
ONLY_AT = {"setfit": ("64",), "autogluon": ("256", "1024")}


def weights_for(kind, folder):
    """The same weights in the form that the peers load."""
    cache = cache_folder()
    if kind == "pictures":
        card = find("efficientnet-lite0", cache)
        # in a process of its own: a child's peak memory starts at its parent's, and torch would be in all of them
        subprocess.run([sys.executable, "-c", CONVERT], check=True)
        return str(cache / FILES / f"{card.files['weights'].sha256}.safetensors")
    paths = pull(find("minilm-l6", cache), cache)
    for role, name in {"weights": "model.safetensors", "config": "config.json", "tokenizer": "tokenizer.json"}.items():
        shutil.copyfile(paths[role], folder / name)
    return str(folder)


def ours(data, folder, options):
    """The whole of `headstart fit`, checks, baselines and report included, from an empty store."""
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


def scratch(data, folder):
    """The same network from random weights, as `fit --scratch` trains it; its process holds a fit at depth 1 too."""
    asked = ["--depth", "1", "--scratch", f"{SCRATCH}s", "--json"]
    command = [sys.executable, "-m", "headstart", "fit", str(data), "-o", str(folder / "x.skill"), *asked]
    out, wall, memory = timed(command)
    if out is None:
        return None
    told = json.loads((folder / "x.skill" / "metrics.json").read_text("utf8"))
    rival = next(each for each in told["against"] if each["name"] == "the same network from scratch")
    return {"accuracy": rival["value"], "train_seconds": rival["seconds"], "wall": wall, "memory": memory}


def theirs(way, data, weights, python):
    """A peer in its own environment; see ways.py."""
    out, wall, memory = timed([python, str(HERE / "ways.py"), way, str(data), weights])
    return None if out is None else {**json.loads(out.splitlines()[-1]), "wall": wall, "memory": memory}


def rows_of(data):
    """Test rows of a folder."""
    table = data / "test.csv"
    if table.is_file():
        import csv

        with table.open(encoding="utf8", newline="") as file:
            return sum(1 for _ in csv.DictReader(file))
    return sum(1 for path in (data / "test").rglob("*") if path.is_file())


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("kind", choices=PEERS)
    asked.add_argument("data", nargs="+", type=Path)
    asked.add_argument("--peers", default="", help="interpreter with fastai, setfit, timm and scikit-learn")
    asked.add_argument("--autogluon", default="", help="interpreter with autogluon.multimodal")
    asked.add_argument("--only", help="ways, with commas between")
    asked.add_argument("--fit", default="", help="further options of headstart fit")
    given = asked.parse_args()
    ways = given.only.split(",") if given.only else ["headstart", "scratch", *PEERS[given.kind]]
    with tempfile.TemporaryDirectory() as name:
        weights = weights_for(given.kind, Path(name))
        for data in given.data:
            for way in ways:
                if way in ONLY_AT and not any(f"-{rows}-" in data.name for rows in ONLY_AT[way]):
                    continue
                if way in ("headstart", "scratch"):
                    with tempfile.TemporaryDirectory() as place:
                        if way == "headstart":
                            found = ours(data, Path(place), given.fit.split())
                        else:
                            found = scratch(data, Path(place))
                else:
                    found = theirs(way, data, weights, given.autogluon if way == "autogluon" else given.peers)
                if found is None:
                    print(f"{data.name} {way}: failed", file=sys.stderr)
                    continue
                n = rows_of(data)
                low, high = wilson(found["accuracy"], n)
                command = f"bench/run.py {given.kind} {data.name} --only {way}"
                said = {
                    **found,
                    "rows": n,
                    "seeds": [0] if way in ("headstart", "scratch") else [],
                    "low": low,
                    "high": high,
                    "command": command,
                }
                add("side by side", ("data", "way"), data=data.name, way=way, kind=given.kind, **said)


if __name__ == "__main__":
    main()
