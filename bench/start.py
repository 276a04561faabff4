"""How long headstart takes to start: whole processes, the median of five."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from made import pictures, texts
from process import HEADSTART, empty_cache, fitted, timed
from record import add, mean_interval

ROWS, REPEATS = 202, 5
SENTENCE = "a wonderful film with a heart\n"
READ = "read through the network"


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        photos, table = pictures(place / "photos", ROWS), texts(place / "table.csv", ROWS)
        env = empty_cache(place / "cache", "efficientnet-lite0", "minilm-l6")
        for data in (photos, table):
            skill = place / f"{data.stem}.skill"
            assert fitted(data, skill, env, "--depth", "1"), "the first fit, which fills the store, failed"
            # a whole fit, and of it what lies before the network reads: the rest is of the same length on every start
            told = [fitted(data, place / "again.skill", env, "--depth", "1") for _ in range(REPEATS)]
            row(f"second fit of {ROWS} {name_of(data)}, to the first of them", [first(each) for each in told])
            row(f"second fit of {ROWS} {name_of(data)}, whole process", [each["wall"] for each in told])
        one = str(next((photos / "red").iterdir()))
        row("headstart --help", walls(["--help"], env))
        row("headstart predict, one picture", walls(["predict", str(place / "photos.skill"), one], env))
        row("headstart predict, one sentence", walls(["predict", str(place / "table.skill"), "-"], env, SENTENCE))


def name_of(data):
    """What the rows of this data are."""
    return "pictures" if data.is_dir() else "texts"


def first(told):
    """Seconds from the start of the process to its first picture or text: imports and the stages before reading."""
    names = [stage["name"] for stage in told["stages"]]
    before = sum(stage["seconds"] for stage in told["stages"][: names.index(READ)])
    return told["wall"] - told["seconds"] + before


def walls(options, env, said=None):
    """Wall seconds of the same process several times, after one that is not counted."""
    found = [timed([*HEADSTART, *options], env=env, said=said) for _ in range(REPEATS + 1)]
    assert all(out is not None for out, _, _ in found), f"headstart {options[0]} failed"
    return [wall for _, wall, _ in found[1:]]


def row(what, seconds):
    """The median, and the interval of the mean."""
    _, low, high = mean_interval(seconds)
    said = {"value": float(np.median(seconds)), "low": low, "high": high, "repeats": seconds}
    rows = ROWS if "fit" in what else 1
    add("start", ("what",), what=what, rows=rows, seeds=[0], **said, command="bench/start.py")


if __name__ == "__main__":
    main()
