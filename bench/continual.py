"""Ten digits learned two at a time, without saying which two a picture is of: `continual.py DATA --seeds 0,1,2`.

DATA is a folder with the four files of MNIST. Five tasks of two digits each, all of the training part; the network is
van de Ven's and Tolias' (arXiv:1904.07734): pixels, two layers of 400 ReLUs, one head, of which the outputs of digits
seen so far are active; Adam at 1e-3, batches of 128, 2,000 steps a task. Accuracy is of all ten digits on the official
test part after the last task. With other --steps nothing is recorded. `--table` prints the means of what is recorded.

The ways: plain; l2sp, ewc and lwf keep no pictures; replay, der (with the logits that the network gave before the task)
and even (der, then the weights of new outputs no longer than those of old ones) keep 500 random ones, as many of each;
icarl keeps 500 by herding and answers with the nearest mean of them; joint learns all digits at once.
"""

import argparse
import gzip
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from record import add, mean_interval, rows
from torch import nn
from torch.nn import functional as F

from headstart.core.evaluate import evaluating, outputs, run_held
from headstart.core.examples import from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import Stack, on_h
from headstart.core.task import Classify, Label
from headstart.retain.even import evened
from headstart.retain.ewc import EWC, fisher
from headstart.retain.l2sp import L2SP
from headstart.retain.lwf import LwF
from headstart.retain.old_head import answers
from headstart.retain.replay import KEPT, Replay
from headstart.retain.sample import balanced, herding

WAYS = ("plain", "l2sp", "ewc", "lwf", "replay", "der", "even", "icarl", "joint")
KEEP, STEPS, BATCH, DIGITS, PAIR = 500, 2000, 128, 10, 2
ANCHOR = {"l2sp": 0.1, "ewc": 5000.0}  # weights of the two penalties on weights
FISHER = 500  # rows that the Fisher information is taken over
PUBLISHED = {"ewc": 20, "lwf": 24, "icarl": 94.6, "joint": 97.9}  # as recalled, for orientation; icarl kept 2,000


class Head(nn.Linear):
    """A linear head of which only the outputs of digits seen so far are there."""

    seen = PAIR

    def forward(self, x):
        return F.linear(x, self.weight[: self.seen], self.bias[: self.seen])


@dataclass(frozen=True)
class NewDigits(Label):
    """Yes or no for each new digit, from the outputs after those of the old ones; y: (b, new)."""

    old: int = 0

    def loss(self, out, y):
        return super().loss(out[:, self.old :], y)


@dataclass
class Course:
    """One way on its way through the tasks."""

    way: str
    train: object
    seed: int
    steps: int
    keep: int

    def __post_init__(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.head = Head(400, DIGITS)
            first, second = nn.Linear(784, 400), nn.Linear(400, 400)
        self.stack = Stack(
            {
                "layer1": on_h(nn.Sequential(first, nn.ReLU())),
                "layer2": on_h(nn.Sequential(second, nn.ReLU())),
                "head": on_h(self.head),
            }
        )
        self.kept = np.empty(0, np.int64)  # digit by digit, the best first where there is an order
        self.past = []  # penalties of earlier tasks

    def learn(self, old):
        """The two digits after the first `old` ones."""
        new = np.flatnonzero((self.train.y >= old) & (self.train.y < old + PAIR))
        if self.way == "icarl":
            self._with_exemplars(new, old)
        else:
            order = self._order(new)
            penalties, beside = self._guards(new, order) if old else ((), {})
            self.head.seen = old + PAIR
            self._fit(self.train.take(order), Classify(), penalties, beside)
        if self.way == "even" and old:
            with torch.no_grad():
                self.head.weight[: self.head.seen] = evened(self.head.weight[: self.head.seen], old)
        self._keep(new)

    def learn_all(self):
        """Every digit at once, with the steps of all tasks."""
        self.head.seen = DIGITS
        order = self._order(np.arange(len(self.train)), self.steps * DIGITS // PAIR)
        self._fit(self.train.take(order), Classify(), (), {})

    def _fit(self, data, task, penalties, beside):
        plan = Plan(len(self.stack), epochs=1, batch=BATCH, lr=1e-3, seed=self.seed)
        fit(self.stack, data, task, plan, penalties=penalties, beside=beside)

    def _order(self, new, steps=0):
        """Rows for so many batches: each as often as every other, or once more."""
        draw = np.random.default_rng([self.seed, self.head.seen])
        size = (steps or self.steps) * BATCH
        return np.concatenate([draw.permutation(new) for _ in range(-(-size // len(new)))])[:size]

    def _guards(self, new, order):
        """Penalties of the next task, and the pictures beside it; the head is still that of the last one."""
        if self.way == "l2sp":
            return (L2SP(self.stack, len(self.stack), ANCHOR["l2sp"], head=True),), {}
        if self.way == "ewc":
            return tuple(self.past), {}
        if self.way == "lwf":
            before = np.zeros((len(self.train), self.head.seen), np.float32)
            before[new] = answers(self.stack, self.train.take(new), Classify()).numpy()
            return (LwF(torch.from_numpy(before[order]), weight=self.head.seen / PAIR, beyond=True),), {}
        if self.way == "plain":
            return (), {}
        kept = self.train.take(self.kept)
        logits = None if self.way == "replay" else answers(self.stack, kept, Classify())
        return (Replay(logits=logits),), {KEPT: kept}

    def _with_exemplars(self, new, old):
        """iCaRL's loss: yes or no for new digits, and what the old network said for old ones, on new and kept rows."""
        both = np.concatenate([new, self.kept])
        yes = self.train.y[both, None] == np.arange(old, old + PAIR)
        data, order = replace(self.train.take(both), y=yes.astype(np.float32)), self._order(np.arange(len(both)))
        # both losses are sums over digits in the paper, and means here
        before = answers(self.stack, data, Label())[order]
        penalties = (LwF(before, Label(), old / PAIR, 1.0),) if old else ()
        self.head.seen = old + PAIR
        self._fit(data.take(order), NewDigits(old=old), penalties, {})

    def _keep(self, new):
        """Room for new digits among the kept pictures, or what else the next tasks need of this one."""
        if self.way == "ewc":
            few = np.random.default_rng([self.seed, 5]).permutation(new)[:FISHER]
            found = fisher(self.stack, self.train.take(few), Classify(), len(self.stack), seed=self.seed)
            self.past.append(EWC(found, self.stack, ANCHOR["ewc"]))
        if self.way in ("replay", "der", "even"):
            there = np.concatenate([self.kept, new])
            self.kept = there[balanced(self.train.y[there], self.keep, seed=self.seed)]
        if self.way == "icarl":
            each, y = self.keep // self.head.seen, self.train.y
            parts = [self.kept[y[self.kept] == digit][:each] for digit in np.unique(y[self.kept])]
            chosen = herding(self.features(self.train.take(new)), y[new], each * PAIR)
            self.kept = np.concatenate([*parts, new[chosen]])

    def features(self, data):
        """(n, 400) what the head reads, of length 1."""
        with evaluating(self.stack):
            h = run_held(self.stack, data.read(np.arange(len(data))), len(self.stack) - 1)["h"]
        return F.normalize(h, dim=1).numpy()

    def said(self, test):
        """(n,) digits."""
        if self.way != "icarl":
            return outputs(self.stack, test).argmax(1).numpy()
        kept = self.features(self.train.take(self.kept))
        means = np.stack([kept[self.train.y[self.kept] == digit].mean(0) for digit in range(DIGITS)])
        return (self.features(test) @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(1)


def one(way, seed, train, test, given):
    """One way with one seed, and its row."""
    start = time.perf_counter()
    course = Course(way, train, seed, given.steps, given.keep)
    if way == "joint":
        course.learn_all()
    else:
        for old in range(0, DIGITS, PAIR):
            course.learn(old)
    right = course.said(test) == test.y
    row = {
        "way": way,
        "seed": seed,
        "accuracy": float(right.mean()),
        "digits": [float(right[test.y == digit].mean()) for digit in range(DIGITS)],
        "keep": given.keep,
        "kept": len(course.kept),
        "steps": given.steps,
        "rows": [len(train), len(test)],
        "seconds": time.perf_counter() - start,
        "command": f"bench/continual.py DATA --ways {way} --seeds {seed} --keep {given.keep}",
    }
    if given.steps == STEPS:
        add("continual", ("way", "seed", "keep"), **row)
    else:
        print(row, flush=True)


def digits(folder, part):
    """Pictures of a part, pixels 0..1, with their digits."""
    pixels, y = (idx(folder / f"{part}-{kind}-ubyte.gz", at) for kind, at in (("images-idx3", 16), ("labels-idx1", 8)))
    return from_arrays(pixels.reshape(-1, 784).astype(np.float32) / 255, y.astype(np.int64))


def idx(path, offset):
    """The bytes of one of MNIST's files after its header."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset)


def table():
    """Pictures kept at most, and means over the seeds with their 95 % intervals, in points."""
    found = rows("continual")
    for way, keep in sorted({(row["way"], row["keep"]) for row in found}, key=lambda each: WAYS.index(each[0])):
        mine = [100 * row["accuracy"] for row in found if (row["way"], row["keep"]) == (way, keep)]
        mean, low, high = mean_interval(mine)
        beside = f"   published {PUBLISHED[way]}" if way in PUBLISHED else ""
        print(f"{way:8s} {keep:5d} {mean:5.1f} ({low:.1f} to {high:.1f}), {len(mine)} seeds{beside}")


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--ways", default=",".join(WAYS))
    asked.add_argument("--seeds", default="0,1,2,3,4")
    asked.add_argument("--steps", type=int, default=STEPS)
    asked.add_argument("--keep", type=int, default=KEEP, help="pictures that are kept, of all digits together")
    asked.add_argument("--threads", type=int, default=0)
    asked.add_argument("--table", action="store_true")
    given = asked.parse_args()
    if given.table:
        table()
        return
    if given.threads:
        torch.set_num_threads(given.threads)
    train, test = digits(given.data, "train"), digits(given.data, "t10k")
    for seed in given.seeds.split(","):
        for way in given.ways.split(","):
            one(way, int(seed), train, test, given)


if __name__ == "__main__":
    main()
