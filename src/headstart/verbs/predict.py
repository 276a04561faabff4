"""`predict` and `evaluate`: what a skill says of new inputs, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Broken, Reader, open_skill_network
from headstart.core import skill as skills
from headstart.core.skill import Skill
from headstart.data.dataset import READS, Dataset, Options, Problem
from headstart.data.read import every_input, read, read_inputs
from headstart.errors import DataError
from headstart.heads import metrics
from headstart.heads.linear import Linear
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.verbs.watch import Silent, Teller

Score = dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """What a skill says of one input.

    Attributes:
        input: the file, the row or the line, as a person calls it.
        label: the class; several labels joined by ` | `; numbers joined by `, `; None where there is an error.
        probability: of the label, 0..1; None for numbers and errors.
        error: why there is no answer.
        all: class -> probability, or target -> number.
    """

    input: str
    label: str | None
    probability: float | None
    error: str | None = None
    all: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Predictor:
    """A skill that is loaded and ready."""

    skill: Skill
    held: Reader
    head: Linear

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, labels or targets."""
        return tuple(self.skill.manifest["classes"])

    def answers(self, data: Dataset, teller: Teller | None = None, broken: Broken | None = None) -> NDArray:
        """(n, c) probabilities, or (n, t) numbers.

        Args:
            broken: told the row and the reason of each picture that cannot be read; else it is an error.
        """
        tell = teller or Silent()

        def progress(done: int, total: int) -> None:
            tell.progress("read through the network", done, total)

        taps = self.held.read(data, progress=progress, broken=broken)
        wanted = [self.held.taps.index(name) for name in self.skill.manifest["taps"]]
        x = np.concatenate([taps[index] for index in wanted], axis=1)
        return self.head.scores(x) if self.head.task == "numbers" else self.head.probabilities(x)


def open_predictor(skill: str | Path | Skill, *, cache: Path | None = None, threads: int = 0) -> Predictor:
    """A skill ready to answer.

    Raises:
        SkillError: no skill there, or one that was changed.
        SourceError: its pretrained network cannot be had.
    """
    hush(threads)
    opened = skill if isinstance(skill, Skill) else skills.read(skill)
    held = open_skill_network(opened, cache or cache_folder(), threads=threads)
    return Predictor(opened, held, Linear.from_arrays(dict(opened.arrays), opened.manifest["task"]))


def predict(
    skill: str | Path | Skill | Predictor,
    inputs: str | Path | Sequence[str | Path],
    *,
    column: str | None = None,
    adapt: bool = False,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> list[Prediction]:
    """One prediction per input, in order; what cannot be read has an `error` in its place.

    Args:
        skill: a skill folder, or what `open_predictor` gave.
        inputs: files, folders, tables, or `-` for lines of standard input.
        column: of a table that holds the texts or the paths of pictures.
        adapt: whether the network's batch norms take the statistics of these inputs for this call alone; the skill
            stays as it is.

    Raises:
        UsageError: inputs too few to adapt to, or a network without batch norms.
    """
    predictor = skill if isinstance(skill, Predictor) else open_predictor(skill, cache=cache, threads=threads)
    paths = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    data = read_inputs(paths, modality=predictor.skill.manifest["modality"], column=column)
    if adapt:
        from headstart.verbs.renormed import renormed

        predictor = renormed(predictor, data, cache or cache_folder(), threads=threads)
    return predictions(predictor, data, teller)


def predictions(predictor: Predictor, data: Dataset, teller: Teller | None = None) -> list[Prediction]:
    """A prediction for every example of the data, and an error for every problem, in their order."""
    task, classes = predictor.skill.manifest["task"], predictor.classes
    if not len(data) and not data.problems:
        raise DataError(f"no inputs were found in {data.path}; give files, a folder, a table or lines of text.")
    lost: dict[int, str] = {}
    out = predictor.answers(data, teller, lost.__setitem__) if len(data) else np.zeros((0, len(classes)))
    found = []
    for name, row, why in every_input(data):
        answered = row is not None and row not in lost
        why = why if row is None else lost.get(row, "")
        found.append(_prediction(task, classes, name, out[row]) if answered else Prediction(name, None, None, why))
    return found


def _prediction(task: str, classes: tuple[str, ...], name: str, out: NDArray) -> Prediction:
    every = {label: float(value) for label, value in zip(classes, out, strict=True)}
    if task == "classes":
        best = int(out.argmax())
        return Prediction(name, classes[best], float(out[best]), None, every)
    if task == "labels":
        on = [label for label, value in every.items() if value >= 0.5]
        return Prediction(name, " | ".join(on), float(np.maximum(out, 1 - out).min()), None, every)
    return Prediction(name, ", ".join(f"{value:.6g}" for value in out), None, None, every)


def evaluate(
    skill: str | Path | Skill | Predictor,
    data: str | Path,
    *,
    options: Options | None = None,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> dict[str, object]:
    """Scores of a skill on labelled data, each with its 95 % interval.

    Returns:
        `n`, `metric`, and `scores`: metric -> value, low, high.

    Raises:
        DataError: data of another modality, or with a label that the skill does not know.
    """
    predictor = skill if isinstance(skill, Predictor) else open_predictor(skill, cache=cache, threads=threads)
    manifest = predictor.skill.manifest
    given = options or Options()
    read_with = Options(**{**given.__dict__, "task": manifest["task"], "classes": predictor.classes})
    examples = read(data, read_with)
    if examples.modality != manifest["modality"]:
        here, there = READS[examples.modality], READS[manifest["modality"]]
        raise DataError(f"'{data}' holds {here} and this skill reads {there}; give labelled {there}.")
    assert examples.y is not None
    lost: dict[int, str] = {}
    out = predictor.answers(examples, teller, lost.__setitem__)
    left_out = [*examples.problems, *(Problem(examples.names[row], why) for row, why in lost.items())]
    whole = np.setdiff1d(np.arange(len(examples)), list(lost))
    examples, out = examples.take(whole), out[whole]
    assert examples.y is not None
    names = metrics.suited(manifest["task"])
    scores = {name: _scored(name, out, examples.y, manifest["task"]) for name in names}
    return {
        "n": len(examples),
        "metric": manifest["metric"],
        "scores": scores,
        "left_out": [{"name": problem.name, "why": problem.why} for problem in left_out],
    }


def _scored(name: str, out: NDArray, y: NDArray, task: str) -> Score:
    low, high = metrics.interval(name, out, y, task)
    return {"value": metrics.score(name, out, y, task), "low": low, "high": high}
