"""Photos learned, paintings, cartoons and sketches asked: `outside.py PACS --seeds 0,1,2,3,4`.

The whole network is tuned from a random head (plain) and from the head fitted on held features (lp-ft); between the
latter's weights before and after lie shares of the way (mix; its share is chosen on held-out photos alone), with the
head mixed as well, or fitted anew on the mixed features of the photos (refit). Every arm of a seed learns from
the same photos in the same order and views. `outside.py --table` prints the means.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from record import add, mean_interval, rows

from headstart.adapt.following import Following
from headstart.adapt.held import open_held
from headstart.adapt.probe import Features
from headstart.adapt.recipes import Recipe
from headstart.adapt.tune import tune
from headstart.core.plan import Plan
from headstart.core.store import Store
from headstart.data.dataset import Options
from headstart.data.read import read
from headstart.heads.linear import fit_head, own_folds
from headstart.places import cache_folder
from headstart.retain.interpolate import between
from headstart.sources.find import find

NETWORK = "efficientnet-lite0"
OUTSIDE = ("art_painting", "cartoon", "sketch")
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
ARMS = ("lp", "plain", "lp-ft", "mix", "refit")


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--seeds", default="0,1,2,3,4")
    asked.add_argument("--lr", type=float, default=3e-4)
    asked.add_argument("--epochs", type=int, default=8)
    asked.add_argument("--threads", type=int, default=0)
    asked.add_argument("--table", action="store_true")
    given = asked.parse_args()
    if given.table:
        table()
        return
    for seed in given.seeds.split(","):
        one(given, int(seed))


class Sets:
    """The pictures of a seed: photos to learn from, to choose on and to test on, and those of the other domains."""

    def __init__(self, given, held, cache, seed):
        photo = read(given.data / "photo", Options())
        every = np.random.default_rng([seed, 1]).permutation(np.flatnonzero(photo.part == "train"))
        fifth = len(every) // 5
        self.photo, self.cache, self.store = photo, cache, Store(cache / "store")
        self.parts = {
            "learn": (photo, np.sort(every[fifth:])),
            "choose": (photo, np.sort(every[:fifth])),
            "inside": (photo, np.flatnonzero(photo.part == "test")),
        }
        for name in OUTSIDE:
            data = read(given.data / name, Options(classes=photo.classes))
            self.parts[name] = data, np.arange(len(data))
        self.features = {name: Features(held, data, held.table(self.store)) for name, (data, _) in self.parts.items()}

    def y(self, name):
        data, chosen = self.parts[name]
        return data.y[chosen]

    def follow(self, stack, blocks):
        return {
            name: Following(self.features[name], chosen, self.features[name].last, stack, blocks, self.cache)
            for name, (_, chosen) in self.parts.items()
        }


def one(given, seed):
    cache, card = cache_folder(), find(NETWORK, cache_folder())
    held = open_held(card, cache, threads=given.threads)
    sets, blocks, start = Sets(given, held, cache, seed), len(held.taps) + 1, time.perf_counter()
    data, chosen = sets.parts["learn"]
    y, last = sets.y("learn"), sets.features["learn"].last
    head = head_of(sets.features["learn"].matrix(chosen, last), y, seed)
    plan = Plan(blocks, given.epochs, lr=given.lr, batch=32, weight_decay=0.01, schedule="linear", seed=seed)
    recipe = Recipe("whole", "task", plan, stored=False)
    came, seconds = {}, {}
    for arm, begin in (("plain", None), ("lp-ft", head)):
        began = time.perf_counter()
        tuned = tune(card, data.take(chosen), y, recipe, cache, head=begin, threads=given.threads)
        seconds[arm] = time.perf_counter() - began
        eyes = sets.follow(tuned.stack, blocks)
        ends = {k: v.clone() for k, v in tuned.stack.blocks["head"].state_dict().items()}
        if arm == "plain":
            came[arm] = scores({name: eye(tuned.stack) for name, eye in eyes.items()}, weights(ends), sets)
    begins = folded(head)
    curve, again = {}, {}
    for share in SHARES:
        tuned.lay(share)
        x = {name: eye(tuned.stack) for name, eye in eyes.items()}
        curve[share] = scores(x, weights(between(begins, ends, share)), sets)
        again[share] = scores(x, head_of(x["learn"], y, seed).scores, sets)
    came |= {"lp": curve[0.0], "lp-ft": curve[1.0], "mix": chosen_of(curve), "refit": chosen_of(again)}
    add(
        "outside",
        ("seed", "lr", "epochs"),
        seed=seed,
        lr=given.lr,
        epochs=given.epochs,
        **{arm: came[arm] for arm in ARMS},
        curve={str(share): each for share, each in curve.items()},
        again={str(share): each for share, each in again.items()},
        training=seconds,
        wall=time.perf_counter() - start,
        command=f"bench/outside.py DATA/pacs --seeds {seed} --lr {given.lr:g} --epochs {given.epochs}",
    )


def head_of(x, y, seed):
    return fit_head(x, y, task="classes", folds=own_folds(y, seed), kind="logistic", seed=seed).head


def folded(head):
    """The fitted head as the network's own layer has it when tuning starts."""
    from headstart.adapt.tune import _start_head

    linear = torch.nn.Linear(*head.weight.shape)
    _start_head(linear, head)
    return {f"module.{name}": value.detach().clone() for name, value in linear.state_dict().items()}


def weights(state):
    weight, bias = (state[f"module.{name}"].numpy() for name in ("weight", "bias"))
    return lambda x: x @ weight.T + bias


def scores(x, answers, sets):
    """Accuracy of every set, and over all pictures of the other domains."""
    right = {name: answers(values).argmax(1) == sets.y(name) for name, values in x.items()}
    outside = np.concatenate([right[name] for name in OUTSIDE])
    return {**{name: float(each.mean()) for name, each in right.items()}, "outside": float(outside.mean())}


def chosen_of(curve):
    """The nearest to the old weights of those shares that held-out photos cannot tell from the best."""
    best = max(each["choose"] for each in curve.values())
    share = min(share for share, each in curve.items() if each["choose"] >= best - 1e-9)
    return {**curve[share], "share": share}


def table():
    found = rows("outside")
    for lr in sorted({row["lr"] for row in found}):
        mine = [row for row in found if row["lr"] == lr]
        print(f"lr {lr:g}, {len(mine)} seeds")
        for arm in ARMS:
            said = [f"{name} {100 * mean_interval([row[arm][name] for row in mine])[0]:.1f}" for name in
                    ("inside", "outside", *OUTSIDE)]  # fmt: skip
            gain = mean_interval([row[arm]["outside"] - row["plain"]["outside"] for row in mine])
            loss = mean_interval([row[arm]["inside"] - row["plain"]["inside"] for row in mine])
            print(
                f"  {arm:6}", *said, "| outside over plain", *(f"{100 * v:+.1f}" for v in gain),
                "| inside", *(f"{100 * v:+.1f}" for v in loss),
            )  # fmt: skip


if __name__ == "__main__":
    main()
