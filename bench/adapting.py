"""A head for pictures without labels, learned from others with labels: `adapting.py DATA --seeds 0,1,2,3,4`.

Digits: written ones of MNIST to those of USPS. PACS: photos to sketches, paintings and cartoons. Beside no adaptation
and every way: the way that is chosen without a label of the target, and the same head learned with its labels.
`surf-amazon-webcam` and its like are the SURF features of Office-Caltech, on which no number of the rule was chosen.
`adapting.py --table` prints the means of what is in the results.
"""

import argparse
import gzip
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from record import add, mean_interval, rows

from headstart.adapt.across import NORMS, Own, across, every_way, offered, sides_of
from headstart.adapt.held import open_held, open_tuned
from headstart.adapt.probe import Ask, Features
from headstart.core.store import Store
from headstart.data.dataset import Dataset
from headstart.heads.linear import fit_head, own_folds
from headstart.places import cache_folder
from headstart.sources.find import find

NETWORK = "efficientnet-lite0"
LABELLED, UNLABELLED = 2000, 1800  # digits of a draw
SHARE = 0.8  # of PACS' pictures to a draw
PAIRS = ("mnist-usps", "photo-sketch", "photo-art_painting", "photo-cartoon")
SHOWN = ("plain", "chosen", "labelled")


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--pairs", default=",".join(PAIRS))
    asked.add_argument("--seeds", default="0,1,2,3,4")
    asked.add_argument("--taps", default="last", choices=["last", "joined"], help="what the heads read")
    asked.add_argument("--norms", action="store_true", help="ways with the target's own batch norms too")
    asked.add_argument("--threads", type=int, default=0)
    asked.add_argument("--table", action="store_true")
    given = asked.parse_args()
    if given.table:
        table()
        return
    for pair in given.pairs.split(","):
        for seed in given.seeds.split(","):
            one(given.data, pair, int(seed), given)


def one(data, pair, seed, given):
    """One draw of one pair, and its row."""
    parts, own, own_t = surf(data, pair, seed) if pair.startswith("surf-") else pictures(data, pair, seed, given)
    (xa, ya), (xb, yb), (xt, yt) = parts
    ask = Ask("classes", "accuracy", int(ya.max()) + 1, seed=seed)
    folds = own_folds(ya, seed, 5)
    start = time.perf_counter()
    found = across(xa, ya, xb, ask, folds, own=own)
    seconds = time.perf_counter() - start
    made = every_way(sides_of(xa, ya, xb, ask, folds), own, offered("classes", own is not None))
    ways = {n: right(way.head, own_t if n.startswith(NORMS) else xt, yt) for n, (way, _) in made.items()}
    labelled = fit_head(xb, yb, task="classes", folds=own_folds(yb, seed, 5), classes=ask.columns, seed=seed).head
    add(
        "adapting",
        ("pair", "seed", "taps", "norms"),
        pair=pair,
        seed=seed,
        taps=given.taps,
        norms=given.norms,
        plain=ways["nothing"],
        chosen=right(found.head, own_t if found.norms is not None else xt, yt),
        labelled=right(labelled, xt, yt),
        way=found.way,
        ways=ways,
        tried=[{**vars(each), "trust": each.trust} for each in found.tried],
        rows=[len(xa), len(xb), len(xt)],
        seconds=seconds,
        command=f"bench/adapting.py DATA --pairs {pair} --seeds {seed} --taps {given.taps}"
        + (" --norms" if given.norms else ""),
    )


def pictures(data, pair, seed, given):
    """Features and classes of source, target and test rows; the target and the test rows with norms of their own."""
    a, b, test = (digits if pair == "mnist-usps" else pacs)(data, pair, seed)
    cache = cache_folder()
    held = open_held(find(NETWORK, cache), cache, threads=given.threads)
    taps = held.taps[-1:] if given.taps == "last" else tuple(held.taps[k] for k in (-6, -4, -2, -1))
    parts = [(matrix(held, part, taps, cache), part.y) for part in (a, b, test)]
    own = own_norms(held, b, test, cache, seed) if given.norms and given.taps == "last" else (None, None)
    return parts, *own


def surf(data, pair, seed):
    """Office-Caltech's SURF features, log of the counts over their sum; half of the target is for the test."""
    from scipy.io import loadmat

    def read(domain):
        found = loadmat(next((data / "office_caltech10_surf").glob(f"{domain}*.mat")))
        x = found["fts"].astype(np.float64)
        return np.log1p(1000 * x / x.sum(1, keepdims=True)).astype(np.float32), found["labels"].reshape(-1).astype(
            int
        ) - 1

    _, one, other = pair.split("-")
    (xa, ya), (xb, yb) = read(one), read(other)
    order = np.random.default_rng([seed, 23]).permutation(len(xb))
    learn, test = np.sort(order[::2]), np.sort(order[1::2])
    return [(xa, ya), (xb[learn], yb[learn]), (xb[test], yb[test])], None, None


def right(head, x, y):
    """Share of rows answered right."""
    return float((head.scores(x).argmax(1) == y).mean())


def matrix(held, data, taps, cache):
    """(n, d) pooled outputs, from the store where they are there."""
    return Features(held, data, held.table(Store(cache / "store"))).matrix(np.arange(len(data)), taps)


def own_norms(held, b, test, cache, seed):
    """The target and its test rows, read with batch norms of the target's own statistics."""
    import torch

    from headstart.adapt.inputs import pictures_of
    from headstart.adapt.norms import norms_of
    from headstart.sources.load import load, with_tail

    if held.threads:
        torch.set_num_threads(held.threads)
    stack = load(held.card, cache, outputs=2).to(memory_format=torch.channels_last)
    norms = norms_of(stack, pictures_of(b, held.card, threads=held.threads), most=128, batch=32, seed=seed)
    tuned = open_tuned(held.card, norms, lambda: with_tail(held.card, norms, cache), cache, threads=held.threads)
    return Own(tuned.read(b)[-1], norms), tuned.read(test)[-1]


def digits(data, pair, seed):
    """Rows of MNIST's training part, of USPS' training part, and all of USPS' test part."""
    import h5py  # for the bench alone: pip install h5py

    images, labels = (
        idx(data / "mnist" / f"train-{kind}-ubyte.gz", at) for kind, at in (("images-idx3", 16), ("labels-idx1", 8))
    )
    draw = np.random.default_rng([seed, 21])
    images = images.reshape(-1, 28, 28)
    some = draw.permutation(len(images))[:LABELLED]
    with h5py.File(data / "usps" / "usps.h5") as file:
        parts = {
            part: (
                (np.array(file[part]["data"]).reshape(-1, 16, 16) * 255).round().astype(np.uint8),
                file[part]["target"][:],
            )
            for part in ("train", "test")
        }
    few = draw.permutation(len(parts["train"][0]))[:UNLABELLED]
    names = tuple("0123456789")
    return (
        dataset(list(images[some]), labels[some], names),
        dataset(list(parts["train"][0][few]), parts["train"][1][few], names),
        dataset(list(parts["test"][0]), parts["test"][1], names),
    )


def idx(path, offset):
    """The bytes of one of MNIST's files after its header."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def pacs(data, pair, seed):
    """A part of both training folders, and all of the target's test folder."""
    names = tuple(sorted(path.name for path in (data / "pacs" / "photo" / "train").iterdir()))
    draw = np.random.default_rng([seed, 22])

    def folder(domain, part, share):
        files = sorted(path for path in (data / "pacs" / domain / part).rglob("*") if path.is_file())
        files = [files[row] for row in np.sort(draw.permutation(len(files))[: round(share * len(files))])]
        return dataset(files, [names.index(path.parent.name) for path in files], names)

    one, other = pair.split("-")
    return folder(one, "train", SHARE), folder(other, "train", SHARE), folder(other, "test", 1)


def dataset(inputs, y, classes):
    """Pictures in memory or on disk."""
    empty = Dataset(Path(), "image", "classes", (), (), None, classes, None, None, None, {}, ())
    return replace(
        empty, inputs=tuple(inputs), names=tuple(map(str, range(len(inputs)))), y=np.asarray(y).astype(np.int64)
    )


def table():
    """Means over the draws with their 95 % intervals, and the share of the gap that the chosen way closed."""
    found = rows("adapting")
    for kind in sorted({(row["pair"], row["taps"], row["norms"]) for row in found}):
        mine = [row for row in found if (row["pair"], row["taps"], row["norms"]) == kind]
        pair, taps, norms = kind
        beside = ", own norms too" if norms else ""
        print(f"{pair}, {taps}{beside}, {len(mine)} draws, {mine[0]['rows']} rows, commit {mine[0]['commit']}")
        for name in SHOWN:
            print(f"  {name:22s} {told([row[name] for row in mine])}")
        print(f"  chosen less plain      {told([row['chosen'] - row['plain'] for row in mine])}")
        gap = [row["labelled"] - row["plain"] for row in mine]
        print(f"  gap closed by chosen   {100 * sum(r['chosen'] - r['plain'] for r in mine) / sum(gap):.0f} %")
        for name in sorted({name for row in mine for name in row["ways"]}):
            print(f"    {name:22s} {told([row['ways'][name] for row in mine if name in row['ways']])}")
        ways = [row["way"] for row in mine]
        print("  chosen:", ", ".join(f"{way} ({ways.count(way)})" for way in sorted(set(ways))))


def told(values):
    mean, low, high = mean_interval([100 * value for value in values])
    return f"{mean:5.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
