"""`predict` and `evaluate`: what a skill says of new inputs, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.held import Broken, Reader, open_skill_network
from headstart.core.also import chosen
from headstart.core.archive import opened
from headstart.core.skill import MANIFEST, Skill, writes
from headstart.data.dataset import READS, TASKS, Dataset, Options, Problem
from headstart.data.read import every_input, read, read_inputs
from headstart.errors import DataError, SkillError, UsageError
from headstart.heads import metrics
from headstart.heads.linear import Linear
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.verbs.watch import Silent, Teller

Score = dict[str, float]
_SAID = {"modality": str, "task": str, "classes": list, "metric": str, "source": dict, "depth": int, "taps": list}


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
        return self.of(outputs(self.held, data, teller, broken))

    def of(self, taps: Sequence[NDArray]) -> NDArray:
        """(n, c) probabilities, or (n, t) numbers, of what the network gave.

        Args:
            taps: (n, d) for each tap of the network, as `Reader.read` gives them.
        """
        wanted = [self.held.taps.index(name) for name in self.skill.manifest["taps"]]
        x = np.concatenate([taps[index] for index in wanted], axis=1)
        return self.head.scores(x) if self.head.task == "numbers" else self.head.probabilities(x)


def outputs(held: Reader, data: Dataset, teller: Teller | None = None, broken: Broken | None = None) -> list[NDArray]:
    """(n, d) for each tap of a network, with words on how far it is.

    Args:
        broken: as of `Predictor.answers`.
    """
    tell = teller or Silent()

    def progress(done: int, total: int) -> None:
        tell.progress("read through the network", done, total)

    return held.read(data, progress=progress, broken=broken)


def open_predictor(
    skill: str | Path | Skill, *, head: str | None = None, cache: Path | None = None, threads: int = 0
) -> Predictor:
    """A skill ready to answer.

    Args:
        skill: a folder, or a .zip, .tar or .tar.gz file of one.
        head: name of one of its heads, where it has several; None takes the main one.

    Raises:
        SkillError: no skill there, or one that was changed.
        UsageError: no head of that name.
        SourceError: its pretrained network cannot be had.
    """
    hush(threads)
    root = cache or cache_folder()
    whole = chosen(skill if isinstance(skill, Skill) else opened(skill, root), head)
    answering = head_of(whole)
    held = open_skill_network(whole, root, threads=threads)
    fits(whole, answering, held)
    return Predictor(whole, held, answering)


def head_of(skill: Skill) -> Linear:
    """The main head of a skill.

    Raises:
        UsageError: a skill that writes.
        SkillError: a manifest that lacks what an answer needs, or a head of other classes.
    """
    want_labels(skill)
    said = skill.manifest
    lost = [name for name, kind in _SAID.items() if not isinstance(said.get(name), kind)]
    lost = lost or [name for name in ("classes", "taps") if not all(isinstance(each, str) for each in said[name])]
    if lost or said["task"] not in TASKS:
        what = f"lacks {', '.join(lost)}" if lost else f"has the task {said['task']!r}, which there is not"
        raise SkillError(f"{skill.folder / MANIFEST} {what}; fit again or restore it.")
    head = Linear.from_arrays(dict(skill.arrays), skill.manifest["task"])
    classes, d = len(skill.manifest["classes"]), head.mean.shape
    if len(d) != 1 or head.scale.shape != d or head.weight.shape != (*d, classes) or head.bias.shape != (classes,):
        raise SkillError(
            f"{skill.folder} has a head of shape {head.weight.shape} for {classes} classes; fit again or restore it."
        )
    return head


def want_labels(skill: Skill) -> None:
    """Refuse a skill that writes.

    Raises:
        UsageError: it does.
    """
    if writes(skill):
        raise UsageError(
            f"{skill.folder} writes texts and has no labels to answer with; use `headstart generate`, `chat` or "
            "`summarize`, or make it a classifier: `headstart fit table.csv --source skill:PATH`."
        )


def fits(skill: Skill, head: Linear, held: Reader) -> None:
    """Refuse a head that reads what its network does not give.

    Raises:
        SkillError: it does.
    """
    widths = dict(zip(held.taps, held.widths, strict=True))
    absent = [tap for tap in skill.manifest["taps"] if tap not in widths]
    d = sum(widths.get(tap, 0) for tap in skill.manifest["taps"])
    if absent or d != len(head.mean):
        what = ", ".join(absent) if absent else f"{len(head.mean)} values where its layers have {d}"
        raise SkillError(f"{skill.folder} reads {what}, which {held.card.name} does not give; fit it again.")


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
        skill: a skill's folder, an archive of one, or what `open_predictor` gave.
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
    some(data)
    lost: dict[int, str] = {}
    out = predictor.answers(data, teller, lost.__setitem__) if len(data) else np.zeros((0, len(predictor.classes)))
    return told(predictor, data, out, lost)


def told(predictor: Predictor, data: Dataset, out: NDArray, lost: Mapping[int, str]) -> list[Prediction]:
    """A prediction for every example of the data, and an error for every problem, in their order.

    Args:
        out: (n, c) as the predictor answers.
        lost: row -> why it could not be read after all.
    """
    task, classes = predictor.skill.manifest["task"], predictor.classes
    found = []
    for name, row, why in every_input(data):
        answered = row is not None and row not in lost
        why = why if row is None else lost.get(row, "")
        found.append(_prediction(task, classes, name, out[row]) if answered else Prediction(name, None, None, why))
    return found


def some(data: Dataset) -> Dataset:
    """The same data, where anything at all was asked about.

    Raises:
        DataError: nothing was.
    """
    if not len(data) and not data.problems:
        raise DataError(f"no inputs were found in {data.path}; give files, a folder, a table or lines of text.")
    return data


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
    examples = labelled(predictor.skill, data, options)
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


def labelled(skill: Skill, data: str | Path, options: Options | None = None) -> Dataset:
    """Labelled data with the classes of a skill, in their order.

    Raises:
        DataError: data of another modality, or with a label that the skill does not know.
    """
    manifest = skill.manifest
    known = {"task": manifest["task"], "classes": tuple(manifest["classes"])}
    examples = read(data, Options(**{**(options or Options()).__dict__, **known}))
    if examples.modality != manifest["modality"]:
        here, there = READS[examples.modality], READS[manifest["modality"]]
        raise DataError(f"'{data}' holds {here} and this skill reads {there}; give labelled {there}.")
    return examples


def _scored(name: str, out: NDArray, y: NDArray, task: str) -> Score:
    low, high = metrics.interval(name, out, y, task)
    return {"value": metrics.score(name, out, y, task), "low": low, "high": high}
