"""Many skills of one network: time to change between them, memory of 1 against 100: `shelf.py --source NAME`."""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from process import empty_cache, timed
from record import add, mean_interval

MANY, REPEATS, TURNS, ROWS, CLASSES = 100, 3, 2000, 64, 10
REPORT = {"report.html": "<p>" + "a report, hashed when a skill is opened first; " * 4000}  # 190 kB
FEW = 10  # skills that are asked one after the other, for the time of all
WORDS = ("a", "film", "that", "said", "little", "and", "was", "over", "before", "it", "began")


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--source", default="minilm-l6")
    asked.add_argument("--child", nargs=2, metavar=("FOLDER", "COUNT"), help="open so many of its skills and tell")
    given = asked.parse_args()
    if given.child:
        print(json.dumps(child(Path(given.child[0]), int(given.child[1]))))
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        env = empty_cache(place / "cache", given.source)
        # in a process of its own: what this one holds is counted with those that measure their memory
        here = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import shelf"
        made = [sys.executable, "-c", f"{here}; shelf.make({str(place)!r}, {given.source!r})"]
        assert timed(made, env=env)[0] is not None, "the skills could not be made"
        told = {count: [ask(place, count, env) for _ in range(REPEATS)] for count in (1, MANY)}
    for what in ("first", "new", "again"):
        seconds = [value for each in told[MANY] for value in each[what]]
        tail = {f"p{p}": float(np.percentile(seconds, p)) for p in (5, 95)}
        row(given.source, f"seconds to open a skill: {what}", float(np.median(seconds)), **tail)
    for what in ("together", "in turn"):
        spread(given.source, f"seconds for {ROWS} inputs and {MANY} skills, {what}", [one[what] for one in told[MANY]])
    for count, each in told.items():
        spread(given.source, f"MB of a process, skills: {count}", [one["memory"] for one in each])


def make(place, source):
    """Skills with heads of their own on this network."""
    from headstart.adapt.held import open_held
    from headstart.core import skill as skills
    from headstart.heads.linear import Linear
    from headstart.places import cache_folder
    from headstart.sources.find import find

    card = find(source, cache_folder())
    held = open_held(card, cache_folder())
    width, classes = held.widths[-1], [f"class {c}" for c in range(CLASSES)]
    manifest = {"modality": card.modality, "task": "classes", "metric": "accuracy", "depth": 1, "classes": classes}
    manifest |= {"source": asdict(card), "taps": [held.taps[-1]]}
    for k in range(MANY):
        weight = np.random.default_rng(k).normal(0, 1 / np.sqrt(width), (width, CLASSES)).astype(np.float32)
        mean, scale = np.zeros(width, np.float32), np.ones(width, np.float32)
        head = Linear(mean, scale, weight, np.zeros(CLASSES), 1.0, "classes")
        skills.write(Path(place) / "skills" / f"{k}.skill", {**manifest, "name": str(k)}, head.arrays(), REPORT)


def ask(place, count, env):
    """What a fresh process says."""
    out, _, _ = timed([sys.executable, __file__, "--child", str(place), str(count)], env=env)
    assert out is not None, "a process that opens skills failed"
    return json.loads(out)


def child(place, count):
    """Seconds to open the first skill, each further one, and each again; to answer by all of them; and memory."""
    from headstart.verbs.predict import predict
    from headstart.verbs.shelf import Shelf

    paths = [place / "skills" / f"{k}.skill" for k in range(count)]
    shelf = Shelf()
    took = [clocked(lambda path=path: shelf.open(path)) for path in paths]
    inputs = inputs_of(shelf.open(paths[0]).skill.manifest["modality"], place)
    shelf.predict_all(paths, inputs[:1])
    memory = resident()  # what follows is for the clock alone
    order = np.random.default_rng(0).integers(count, size=TURNS)
    again = [clocked(lambda path=paths[k]: shelf.open(path)) for k in order]
    together = clocked(lambda: shelf.predict_all(paths, inputs))
    few = paths[:FEW]
    turn = clocked(lambda: [predict(shelf.open(path), inputs) for path in few]) * count / len(few)
    assert len(shelf.networks) == 1
    seconds = {"first": took[:1], "new": took[1:], "again": again, "together": together, "in turn": turn}
    return {**seconds, "memory": memory}


def inputs_of(modality, place):
    """Texts, or pictures that are made here."""
    draw = np.random.default_rng(1)
    if modality == "text":
        return [" ".join(draw.choice(WORDS, 12)) for _ in range(ROWS)]
    from PIL import Image

    paths = [place / f"{row}.png" for row in range(ROWS)]
    for path in paths:
        Image.fromarray(draw.integers(0, 256, (256, 256, 3), np.uint8)).save(path)
    return paths


def clocked(do):
    """Seconds."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def resident():
    """MB of this process that are in memory now."""
    lines = Path("/proc/self/status").read_text("utf8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def spread(source, what, values):
    """The median of fresh processes, and the interval of their mean."""
    _, low, high = mean_interval(values)
    row(source, what, float(np.median(values)), low=low, high=high)


def row(source, what, value, **more):
    """One figure."""
    said = {"source": source, "what": what, "value": value, "seeds": [], "repeats": REPEATS, **more}
    add("shelf", ("source", "what"), **said, command=f"bench/shelf.py --source {source}")


if __name__ == "__main__":
    main()
