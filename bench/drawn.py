"""The data sets of `live.py`: a draw of rows to learn from and of test rows out of data on disk."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LEARN, TEST = 600, 1000
KINDS, EACH = 48, 12  # classes of Caltech-101, and pictures of each to learn from

Pictures = Sequence[tuple[Path | NDArray, str]]
Texts = Sequence[tuple[str, str]]


def caltech(source: Path, seed: int) -> tuple[Pictures, Pictures]:
    """Some classes; of each some pictures to learn from and the rest for the test."""
    names = sorted(path.name for path in (source / "caltech101" / "train").iterdir())
    draw = np.random.default_rng([seed, 1])
    learn: list[tuple[Path | NDArray, str]] = []
    test: list[tuple[Path | NDArray, str]] = []
    for name in sorted(draw.permutation(names)[:KINDS]):
        files = sorted((source / "caltech101").glob(f"*/{name}/*"))
        order = draw.permutation(len(files))
        learn += [(files[row], name) for row in order[:EACH]]
        test += [(files[row], name) for row in order[EACH:]]
    return learn, test


def halves(source: Path, seed: int, folder: str) -> tuple[Pictures, Pictures]:
    """Half of every class to learn from; draws 2k and 2k + 1 are each other's other way round."""
    files = [(path, path.parent.name) for path in sorted((source / folder).rglob("*")) if path.is_file()]
    draw = np.random.default_rng([seed // 2, 2])
    parts: tuple[list[tuple[Path | NDArray, str]], ...] = ([], [])
    for name in sorted({name for _, name in files}):
        mine = [row for row in files if row[1] == name]
        order = draw.permutation(len(mine))
        for place, row in enumerate(order):
            parts[place % 2].append(mine[row])
    return parts[seed % 2], parts[1 - seed % 2]


def xrays(source: Path, seed: int) -> tuple[Pictures, Pictures]:
    """Some of the X-rays to learn from, and the whole official test part, which is of other patients."""
    with np.load(source / "pneumoniamnist" / "pneumoniamnist.npz", allow_pickle=False) as data:
        images, labels = data["train_images"], data["train_labels"].reshape(-1)
        rows = np.random.default_rng([seed, 3]).permutation(len(images))[:LEARN]
        kinds = ("normal", "pneumonia")
        learn = [(images[row], kinds[int(labels[row])]) for row in rows]
        return learn, [(x, kinds[int(y)]) for x, y in zip(data["test_images"], data["test_labels"][:, 0], strict=True)]


def digits(source: Path, seed: int) -> tuple[Pictures, Pictures]:
    """Written digits."""
    parts = []
    for place, (part, most) in enumerate((("train", LEARN), ("t10k", TEST))):
        with gzip.open(source / "mnist" / f"{part}-images-idx3-ubyte.gz") as file:
            images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
        with gzip.open(source / "mnist" / f"{part}-labels-idx1-ubyte.gz") as file:
            labels = np.frombuffer(file.read(), np.uint8, offset=8)
        rows = np.random.default_rng([seed, 4, place]).permutation(len(images))[:most]
        parts.append([(images[row], f"digit{labels[row]}") for row in rows])
    return parts[0], parts[1]


def tweets(source: Path, seed: int, name: str) -> tuple[Texts, Texts]:
    """Of the official training and test parts."""

    def lines(part: str, kind: str) -> list[str]:
        return (source / "tweeteval" / name / f"{part}_{kind}.txt").read_text("utf8").split("\n")

    parts = []
    for part in ("train", "test"):
        rows = [(text, f"class{label}") for text, label in zip(lines(part, "text"), lines(part, "labels"), strict=True)]
        parts.append([row for row in rows if row[0].strip() and row[1] != "class"])
    return _some(parts[0], parts[1], seed)


def reviews(source: Path, seed: int) -> tuple[Texts, Texts]:
    """Sentences of film reviews."""
    parts = []
    for part in ("train", "test"):
        lines = (source / "sst2" / f"{part}.tsv").read_text("utf8").splitlines()
        parts.append([(text, f"class{label}") for text, _, label in (line.rpartition("\t") for line in lines)])
    return _some(parts[0], parts[1], seed)


def questions(source: Path, seed: int) -> tuple[Texts, Texts]:
    """Customers' questions, a fifth of the intents."""
    parts = []
    names: list[str] = []
    for part in ("train", "test"):
        with (source / "banking77" / f"{part}.csv").open(encoding="utf8", newline="") as file:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
        names = names or sorted(np.random.default_rng([seed, 6]).permutation(sorted({name for _, name in rows}))[:25])
        parts.append([row for row in rows if row[1] in names])
    return _some(parts[0], parts[1], seed)


def _some(learn: Texts, test: Texts, seed: int) -> tuple[Texts, Texts]:
    draw = np.random.default_rng([seed, 5])
    parts = [[rows[row] for row in draw.permutation(len(rows))[:most]] for rows, most in ((learn, LEARN), (test, TEST))]
    return parts[0], parts[1]


PICTURES: Mapping[str, Callable[[Path, int], tuple[Pictures, Pictures]]] = {
    "caltech101": caltech,
    "pacs-sketch": partial(halves, folder="pacs/sketch"),
    "pacs-art": partial(halves, folder="pacs/art_painting"),
    "chest-xrays": xrays,
    "brain-mri": partial(halves, folder="brain_tumor_yesno"),
    "digits": digits,
    "pacs-cartoon": partial(halves, folder="pacs/cartoon"),
}
TEXTS: Mapping[str, Callable[[Path, int], tuple[Texts, Texts]]] = {
    "tweets-emotion": partial(tweets, name="emotion"),
    "tweets-irony": partial(tweets, name="irony"),
    "film-sentences": reviews,
    "banking": questions,
    "tweets-hate": partial(tweets, name="hate"),
}


def write(kind: str, name: str, seed: int, source: Path, folder: Path) -> Path:
    """The folder of one draw with its train and test parts, written where it is not there yet."""
    place = folder / f"{name}-{seed}"
    if place.is_dir():
        return place
    partial_place = folder / f"{name}-{seed}.partial"
    if kind == "pictures":
        for part, rows in zip(("train", "test"), PICTURES[name](source, seed), strict=True):
            _write_pictures(rows, partial_place / part)
    else:
        partial_place.mkdir(parents=True, exist_ok=True)
        for part, rows in zip(("train", "test"), TEXTS[name](source, seed), strict=True):
            with (partial_place / f"{part}.csv").open("w", encoding="utf8", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *rows])
    return partial_place.rename(place)


def _write_pictures(rows: Pictures, folder: Path) -> None:
    for number, (picture, name) in enumerate(rows):
        (folder / name).mkdir(parents=True, exist_ok=True)
        if isinstance(picture, Path):
            path = folder / name / f"{number}{picture.suffix}"
            path.unlink(missing_ok=True)
            path.symlink_to(picture.absolute())
        else:
            Image.fromarray(picture).save(folder / name / f"{number}.png")
