"""From features of held blocks, and deeper where that pays, to a head and what it was worth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.costs import Costs
from headstart.adapt.deeper import Verdict, judged, verdict
from headstart.adapt.guards import Guard
from headstart.adapt.held import Progress, Reader, forget, open_tuned, settle
from headstart.adapt.interrupted import Interrupted
from headstart.adapt.keeper import Keeper, Kept, Scene
from headstart.adapt.probe import Ask, Folds, Outputs, Rung, fit_probe, look
from headstart.adapt.recipes import Recipe, partly, recipes, worth_a_try
from headstart.adapt.toward import Toward
from headstart.core.plan import Plan
from headstart.data.dataset import Dataset
from headstart.errors import DepthError, TrainingError, UsageError
from headstart.heads import metrics
from headstart.heads.linear import Fitted, Linear, fit_head
from headstart.heads.logistic import softmax
from headstart.heads.temperature import temperature
from headstart.sources.card import Card

if TYPE_CHECKING:
    from headstart.adapt.tune import Tuned

_BUDGET = 300.0  # seconds for each tuned tail where nothing is said
_TRAINING = 0.7  # of that for loading and training; the rest compiles the network, reads the rows and judges
_LEAST = 5.0  # seconds below which nothing would be left for training
Rows = NDArray[np.int64]
Read = Callable[[Rows, Progress | None], NDArray]


@dataclass(frozen=True)
class Learned:
    """A head, and how it was come to.

    Attributes:
        depth: blocks that learned.
        taps: whose pooled outputs the head reads.
        fitted: the head with its cross-validation.
        layers: every layer and join of layers that was probed, best first.
        rungs: depths that were tried, shallowest first.
        rule: in words, why it stopped there.
        tail: what was learned below the head, by name; empty at depth 1.
        read: rows of the data -> (rows, d) what the head reads of them.
        blocks: of the network, the head among them.
        held: the network that `read` reads with, tuned or not.
        plan: of the training loop; None where only a head was fitted.
        kept: guards and shares of the way that were measured; None where nothing deeper was tried.
        gained: what the tail gained over a head alone, on rows that neither learned from.
    """

    depth: int
    taps: tuple[str, ...]
    fitted: Fitted
    layers: tuple[Rung, ...]
    rungs: tuple[Rung, ...]
    rule: str
    read: Read
    blocks: int
    held: Reader
    plan: Plan | None = None
    tail: Mapping[str, NDArray] = field(default_factory=dict)
    kept: Kept | None = None
    gained: Verdict | None = None

    @property
    def head(self) -> Linear:
        """What the taps are read with."""
        return self.fitted.head

    def answers(self, rows: Rows, progress: Progress | None = None) -> NDArray:
        """(rows, c) probabilities, or numbers.

        Args:
            progress: told rows that the network has read.
        """
        x = self.read(rows, progress)
        return self.head.scores(x) if self.head.task == "numbers" else self.head.probabilities(x)


@dataclass(frozen=True)
class Learner:
    """Learns from rows of one data set, as deep as that pays.

    Attributes:
        data: the whole data set.
        held: the pretrained network.
        features: its pooled outputs for all rows.
        ask: task, metric and seed.
        cache: folder of networks and stored activations.
        depth: blocks that learn; None lets the data decide.
        budget: seconds for each tuned tail; None leaves it to the rule.
        taps: that a new head reads; None lets the data decide.
        rates: epochs, lr and batch of a tail, where they are not the recipe's; such a tail takes the time it takes.
        toward: a set without labels that a tail is brought near to.
        update: what learns in a tail: all, norms or lora.
        keeper: of an earlier task; None where nothing is to be kept.
        interrupted: where tails keep points to go on from.
        progress: told epochs of a tail.

    Raises:
        UsageError: taps that the network does not have, or that a tail of this depth does not read.
    """

    data: Dataset
    held: Reader
    features: Outputs
    ask: Ask
    cache: Path
    depth: int | None = None
    budget: float | None = None
    taps: tuple[str, ...] | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    toward: Toward | None = None
    update: str = "all"
    keeper: Keeper | None = None
    interrupted: Interrupted | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        there = tuple(self.features.taps)
        absent = [tap for tap in self.taps or () if tap not in there]
        if absent:
            raise UsageError(f"taps {', '.join(absent)} are not in {self.held.card.name}; use {', '.join(there)}.")
        if self.taps and self.depth not in (None, 1) and self.taps != there[-1:]:
            raise UsageError(
                f"taps {', '.join(self.taps)} were given with depth {self.depth}, where the head reads {there[-1]} "
                "alone; take the taps out or use depth 1."
            )

    def learn(self, rows: Rows, folds: Folds, *, last: bool = True) -> Learned:
        """A head from these rows alone, every choice included.

        Args:
            rows: to learn from.
            folds: positions within `rows`.
            last: whether this is what the skill is made of; a tuned network is then compiled for the engine.
        """
        y = self._y(rows)
        probe = self._probe(rows, y, folds)
        if self.depth == 1:
            return replace(probe, rule="Depth 1 was asked for. " + probe.rule)
        if self.held.card.beside:
            return replace(probe, rule=_only_a_head(self.held.card, self.depth) + probe.rule)
        tried = recipes(
            self.held.card,
            len(self.held.taps) + 1,
            len(rows),
            self.ask.columns,
            self.ask.task,
            precision=self.held.precision,
            seed=self.ask.seed,
            depth=self.depth,
            patient=self.budget is not None,
        )
        tried = tuple(partly(each, self.update) for each in tried)
        tried = tuple(replace(each, plan=replace(each.plan, **self.rates)) for each in tried)
        best = probe
        left = 1 - probe.fitted.cv_score if self.ask.better(1.0, 0.0) else probe.fitted.cv_score
        for recipe in tried:
            if self.depth is None and self.budget is not None and self.budget < _LEAST:
                return replace(best, rule=best.rule + _too_short(recipe, self.budget))
            if self.depth is None and not worth_a_try(recipe, left, patient=self.budget is not None):
                return replace(best, rule=best.rule + _untried(recipe, left))
            try:
                found, seen = self._try(recipe, rows, y, folds, best, last)
            except TrainingError as error:
                if self.depth is not None:
                    raise
                return replace(best, rule=f"{best.rule} Going deeper ({recipe.name}) was given up: {error}")
            if found is None:
                return replace(best, rungs=seen.rungs, rule=seen.rule)
            best = found
        return best if tried else replace(best, rule=best.rule + _too_few(len(rows)))

    def _probe(self, rows: Rows, y: NDArray, folds: Folds) -> Learned:
        """The best layer or layers under one head: depth 1.

        The last layer is kept unless another choice beats it by more than one standard error of the paired folds,
        so that noise alone does not move it. Taps that were asked for are not weighed against others.
        """
        asked = self.taps if self.depth in (None, 1) else None
        layers = look(self.features, rows, y, folds, self.ask, also=asked)
        plain = next(rung for rung in layers if rung.taps == self.features.last)
        chosen = layers[0] if layers[0] is not plain and _beats(layers[0], plain, self.ask) else plain
        if asked:
            chosen = next(rung for rung in layers if rung.taps == asked)
        start = time.perf_counter()
        fitted = fit_probe(self.features, rows, y, folds, self.ask, chosen.taps)
        rung = replace(chosen, seconds=time.perf_counter() - start + sum(layer.seconds for layer in layers))
        why = "the last layer" if chosen is plain else f"{chosen.name}, better than the last layer beyond the noise"
        if asked:
            why = f"{' + '.join(asked)}, as was asked for"

        def read(wanted: Rows, progress: Progress | None = None) -> NDArray:
            return self.features.matrix(wanted, chosen.taps, progress)

        rule, blocks = f"The head reads {why}.", len(self.held.taps) + 1
        return Learned(1, chosen.taps, fitted, tuple(layers), (rung,), rule, read, blocks, self.held)

    def _try(
        self, recipe: Recipe, rows: Rows, y: NDArray, folds: Folds, above: Learned, last: bool
    ) -> tuple[Learned | None, Learned]:
        """The tuned tail if it pays (or was asked for), and `above` with what was seen."""
        costs = Costs.of(self.cache, self.held.card.digest, self.held.threads)
        start = time.perf_counter()
        with costs.first("start", "torch"):
            import headstart.adapt.tune  # noqa: F401

        a, b = judged(len(rows), folds[0])
        held, taps = self.held, self.features.last
        before = above.read(rows, None)
        kept = self._tail(recipe, rows, y, a, b, before)
        if kept.tail is None:
            return None, replace(above, rule=kept.rule + above.rule, kept=kept)
        tail, stack = kept.tail, kept.stack
        with costs.timed(f"tuned {recipe.plan.depth}"):
            tuned = open_tuned(
                held.card, tail, lambda: stack, self.cache, threads=held.threads, device=held.device, aside=True
            )

        def read(wanted: Rows, progress: Progress | None = None) -> NDArray:
            return tuned.read(self.data.take(wanted), progress=progress)[0]

        x = read(rows)
        out, other = (_outputs(self._head(each[a], y[a]).head, each[b]) for each in (x, before))
        said = verdict(self.ask, out, other, y[b], _error(self.ask, other, y[b]), recipe.gain)
        scored, beside = (metrics.score(self.ask.metric, each, y[b], self.ask.task) for each in (out, other))
        took = time.perf_counter() - start
        rungs = (*above.rungs, Rung(recipe.name, recipe.plan.depth, taps, (scored,), took, beside))
        pays = said.pays or self.depth is not None
        if pays and last:
            tuned = settle(tuned)
        else:
            forget(tuned)
        if not pays:
            return None, replace(above, rungs=rungs, rule=_rule(recipe, said) + above.rule)
        rule = kept.rule + (_rule(recipe, said) if self.depth is None else f"Depth {self.depth} was asked for.")
        fitted = self._head(x, y, folds)
        # rows that taught the tail look surer than they are: those held out from it say how sure the head may be
        hot = _temperature(fitted.head, x[b], y[b], self.ask)
        fitted = replace(fitted, head=replace(fitted.head, temperature=hot))
        plan = recipe.plan
        found = Learned(
            plan.depth, taps, fitted, above.layers, rungs, rule, read, above.blocks, tuned, plan, tail, kept, said
        )
        return found, found

    def _tail(self, recipe: Recipe, rows: Rows, y: NDArray, a: Rows, b: Rows, alone: NDArray) -> Kept:
        """A tuned tail, guarded where that was asked for; `alone` is what the head of no tail reads."""
        from headstart.adapt.tune import tune

        held, head = self.held, self._start(recipe, rows[a], y[a])
        budget = self.budget or (float("inf") if "epochs" in self.rates else _BUDGET)

        def tuned(guard: Guard | None) -> Tuned:
            return tune(
                held.card,
                self.data.take(rows[a]),
                y[a],
                recipe,
                self.cache,
                head=head,
                threads=held.threads,
                budget=_TRAINING * budget,
                toward=self.toward,
                guard=guard,
                interrupted=self.interrupted,
                progress=self.progress,
            )

        if self.keeper is None:
            found = tuned(None)
            return Kept(found.lay(1.0), found.stack, (), 0, "")

        def score(x: NDArray) -> tuple[float, NDArray]:
            fitted = self._head(x[a], y[a]).head
            value = metrics.score(self.ask.metric, _outputs(fitted, x[b]), y[b], self.ask.task)
            value = value if metrics.higher_is_better(self.ask.metric) else -value
            return value, -_losses(fitted, x[b], y[b])

        plan = recipe.plan
        scene = Scene(self.features, rows, a, b, score, alone, plan.depth, plan.precision, self.cache, plan.seed)
        return self.keeper.kept(tuned, scene)

    def _start(self, recipe: Recipe, rows: Rows, y: NDArray) -> Linear | None:
        if recipe.objective == "contrast":
            return None
        return self._head(self.features.matrix(rows, self.features.last), y).head

    def _head(self, x: NDArray, y: NDArray, folds: Folds | None = None) -> Fitted:
        ask = self.ask
        parts = _thirds(len(y), ask.seed) if folds is None else folds
        return fit_head(
            x, y, task=ask.task, folds=parts, balance=ask.balance, metric=ask.metric, seed=ask.seed, classes=ask.columns
        )

    def _y(self, rows: Rows) -> NDArray:
        assert self.data.y is not None
        return self.data.y[rows]


def _beats(a: Rung, b: Rung, ask: Ask) -> bool:
    gains = np.array(a.scores) - np.array(b.scores)
    if not ask.better(1.0, 0.0):
        gains = -gains
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() > error)


def _rule(recipe: Recipe, said: Verdict) -> str:
    done = "was kept" if said.pays else "was not worth it"
    return f"Going deeper ({recipe.name}) {done}: {said.words}. "


def _untried(recipe: Recipe, left: float) -> str:
    return (
        f" Going deeper ({recipe.name}) was not tried: with {100 * left:.1f} points left to gain, such a tail is "
        f"expected to bring {100 * recipe.gain[0] * left:.1f}; --budget 60s tries it."
    )


def _only_a_head(card: Card, depth: int | None) -> str:
    """The rule for networks side by side.

    Raises:
        DepthError: another depth was asked for.
    """
    if depth is not None:
        raise DepthError(
            f"depth={depth} cannot be had of {card.name}, networks side by side; use depth 1, or one of them."
        )
    return "Networks side by side take a new head only. "


def _too_few(rows: int) -> str:
    return (
        f" Going deeper was not tried: with {rows} pictures it takes longer than all the rest; on data unlike photos "
        "it often brings some points, and --budget 60s tries it."
    )


def _too_short(recipe: Recipe, budget: float) -> str:
    return (
        f" Going deeper ({recipe.name}) was not tried: {budget:.1f} s for each tail (one for every fold, where there "
        f"is no test part) are less than the {_LEAST:.0f} s that one needs at least; give a larger --budget."
    )


def _outputs(head: Linear, x: NDArray) -> NDArray:
    return head.scores(x) if head.task == "numbers" else head.probabilities(x)


def _losses(head: Linear, x: NDArray, y: NDArray) -> NDArray:
    """(n,) loss of each row: its squared error, or its log loss at the temperature that is best for all of them.

    Rows that taught a tail make its head too sure: what is asked is how well it tells others apart.
    """
    scores = head.scores(x)
    if head.task == "numbers":
        return ((scores - y) ** 2).mean(1)
    hot = temperature(scores, y, head.task)[0]
    if head.task == "labels":
        each = np.logaddexp(0, scores / hot) - y * scores / hot
        return np.where(np.isfinite(y), each, 0).sum(1) / np.maximum(np.isfinite(y).sum(1), 1)
    chance = softmax(scores / hot)[np.arange(len(y)), y]
    return -np.log(np.maximum(chance, np.finfo(np.float64).tiny))


def _error(ask: Ask, out: NDArray, y: NDArray) -> float:
    """What is left to gain, in units of the metric."""
    value = metrics.score(ask.metric, out, y, ask.task)
    return 1 - value if metrics.higher_is_better(ask.metric) else value


def _temperature(head: Linear, x: NDArray, y: NDArray, ask: Ask) -> float:
    if ask.task == "numbers":
        return 1.0
    return temperature(head.scores(x), y, ask.task)[0]


def _thirds(n: int, seed: int) -> Folds:
    """Three plain folds, for the strength of a head that is only compared."""
    part = np.random.default_rng([seed, n]).permutation(n) % 3
    return [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(3)]
