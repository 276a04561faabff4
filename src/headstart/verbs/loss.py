"""What a merge cost, measured: the skills that went in and what came of them, asked about the same labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Reader, open_skill_network
from headstart.core.skill import Skill
from headstart.errors import DataError
from headstart.heads import metrics
from headstart.report.merged import Loss, Point
from headstart.verbs.predict import Predictor, fits, head_of, labelled, outputs
from headstart.verbs.shelf import Network, network_of
from headstart.verbs.watch import Teller


@dataclass(frozen=True, eq=False)
class Named:
    """A skill under the name that it is told of with."""

    name: str
    skill: Skill


def loss_of(
    before: Sequence[Named], after: Named, data: str | Path, *, cache: Path, threads: int, teller: Teller
) -> Loss:
    """Scores before and after on the same rows, with intervals, and how often both answer alike.

    Args:
        before: skills with the classes of `after`, in any order.
        after: what came of them.
        data: labelled.

    Raises:
        DataError: data of another kind, with labels that the skill does not know, or of which nothing can be read.
    """
    said = after.skill.manifest
    examples = labelled(after.skill, data)
    assert examples.y is not None
    lost: dict[int, str] = {}
    read: dict[Network, tuple[Reader, list[NDArray]]] = {}  # what they share is opened, and reads the rows, once
    out = []
    for skill in (each.skill for each in (*before, after)):
        network = network_of(skill)
        if network not in read:
            held = open_skill_network(skill, cache, threads=threads)
            read[network] = held, outputs(held, examples, teller, lost.__setitem__)
        held, taps = read[network]
        fits(skill, head_of(skill), held)
        out.append(_in_order(Predictor(skill, held, head_of(skill)), said["classes"], taps))
    rows = np.setdiff1d(np.arange(len(examples)), list(lost))
    if not len(rows):
        raise DataError(f"nothing in '{data}' can be read; give labelled data that can.")
    y, task, metric = examples.y[rows], said["task"], said["metric"]
    *others, mine = (each[rows] for each in out)
    names = [each.name for each in before]
    return Loss(
        name=after.name,
        metric=metric,
        rows=len(rows),
        parts=tuple(_point(each, metric, values, y, task) for each, values in zip(names, others, strict=True)),
        merged=_point(after.name, metric, mine, y, task),
        differences=tuple(
            Point(each, *metrics.paired_difference(metric, mine, values, y, task))
            for each, values in zip(names, others, strict=True)
        ),
        agreement=tuple(_agreement(mine, values, task) for values in others),
        seen=any(each.skill.manifest.get("data") == examples.fingerprint for each in before),
    )


def _in_order(predictor: Predictor, classes: Sequence[str], taps: Sequence[NDArray]) -> NDArray:
    """(n, c) answers with the columns of these classes, in this order."""
    return predictor.of(taps)[:, [predictor.classes.index(name) for name in classes]]


def _point(name: str, metric: str, out: NDArray, y: NDArray, task: str) -> Point:
    return Point(name, metrics.score(metric, out, y, task), *metrics.interval(metric, out, y, task))


def _agreement(a: NDArray, b: NDArray, task: str) -> float | None:
    """Share of rows with the same answer; numbers have none."""
    if task == "numbers":
        return None
    same = metrics.decide(a, task) == metrics.decide(b, task)
    return float(same.reshape(len(same), -1).all(1).mean())
