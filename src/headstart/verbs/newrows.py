"""New rows for a skill: read as it reads, named as it names, without what it has learned from already, and divided."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.core.skill import Skill
from headstart.data.check import repeats
from headstart.data.dataset import READS, Dataset, Options
from headstart.data.folders import TABLES, listing
from headstart.data.labels import in_order
from headstart.data.named import matched
from headstart.data.near import Look, look
from headstart.data.read import read
from headstart.data.split import Folds, Split, apart, choice_folds, split, strata
from headstart.errors import DataError, UsageError
from headstart.heads.linear import own_folds
from headstart.verbs.memory import Memory

_FIFTH = 5
_FEW = 20  # rows below which each is judged once instead, by a head of the others
_CHOICES = 3  # folds of groups that choices are made by
_LISTED = 5
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows that a skill has not learned from.

    Attributes:
        data: with the skill's names first, then new ones; labels that the data says nothing of are NaN. Its rows lie in
            an order of their own, so that the order of files and lines changes nothing.
        added: names that the skill does not know.
        copies: rows that were left out because the skill has learned from them.
        learn: rows that a head may learn from.
        judge: rows that it is judged on; None where `folds` judge each row by a head of others.
        folds: (rows to learn from, rows to ask about), of all rows where there is no judge part; else of those to learn
            from, where they must not be divided at random.
        how: they were divided, in words.
        notes: what else was left out.
    """

    data: Dataset
    added: tuple[str, ...]
    copies: int
    learn: Rows
    judge: Rows | None
    folds: Folds
    how: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """What was said of names.

    Attributes:
        same: name in the data -> name of the skill.
        new: names that are none of the skill's.
    """

    same: Mapping[str, str]
    new: Collection[str]


def new_rows(
    path: str | Path, skill: Skill, options: Options, names: Names, memory: Memory | None, *, seed: int, threads: int
) -> NewRows:
    """Read, name and divide new data for a skill.

    Args:
        options: columns as the user said or the skill's plan says.
        memory: of the skill; None where it keeps nothing.

    Raises:
        DataError: another kind of data, no new rows, or none that could be judged.
        UsageError: a name that is near a known one, or a target that the data lacks.
    """
    data = _read(path, skill, options, names)
    here, there = data.modality, skill.manifest["modality"]
    if here != there:
        raise DataError(
            f"'{path}' holds {READS[here]} and this skill reads {READS[there]}; give labelled {READS[there]}."
        )
    data = _named(data, skill, options, names)
    looked = look(data.pictures, threads=threads or 2) if data.modality == "image" else None
    whole = np.ones(len(data), bool)
    if looked is not None:
        whole[list(looked.broken)] = False
    copies = memory.knows(data.keys) if memory else np.zeros(len(data), bool)
    kept = np.flatnonzero(whole & ~copies)
    if not len(kept):
        why = f"the skill has learned from all of its {copies.sum()} rows" if copies.any() else "no row can be read"
        raise DataError(f"'{path}' has nothing new: {why}; give others.")
    kept = kept[_order(data.take(kept))]
    data = data.take(kept)
    if looked is not None:
        looked = Look(looked.thumbnails[kept], looked.sizes[kept], {})
    learn, judge, folds, how = _divided(data, looked, seed)
    notes = [f"{problem.name} was left out: {problem.why}" for problem in data.problems[:_LISTED]]
    if lost := len(data.problems) - len(notes):
        notes.append(f"{lost} more rows were left out")
    if broken := int((~whole).sum()):
        notes.append(f"pictures that cannot be read were left out: {broken}")
    return _known(NewRows(data, (), int(copies.sum()), learn, judge, folds, how, tuple(notes)), skill)


def _read(path: str | Path, skill: Skill, options: Options, names: Names) -> Dataset:
    task: str = skill.manifest["task"]
    classes: list[str] = skill.manifest["classes"]
    if not _tabular(Path(path)):
        options = replace(options, text=None, image=None, label=None)  # those of the skill's plan name columns
    elif task == "numbers" or "," in (options.label or ""):
        columns = options.label.split(",") if options.label else classes
        spelled = {old: name for name, old in names.same.items()}
        options = replace(options, label=",".join(spelled.get(name.strip(), name.strip()) for name in columns))
    try:
        return read(path, replace(options, task=task, classes=None, more=True))
    except UsageError as error:
        if task != "numbers":
            raise
        raise UsageError(f"the skill answers {_listed(classes)}, which the data must have: {error}") from None


def _tabular(path: Path) -> bool:
    """Whether the data has columns."""
    if path.is_dir():
        return any(file.suffix.lower() in TABLES for file in listing(path)[1])
    return path.suffix.lower() != ".npz"


def _named(data: Dataset, skill: Skill, options: Options, names: Names) -> Dataset:
    """The data under the skill's names, which come first."""
    task, known = skill.manifest["task"], tuple(skill.manifest["classes"])
    assert data.y is not None
    seen = [data.classes[k] for k in np.unique(data.y)] if task == "classes" else list(data.classes)
    called = matched(seen, known, names.same, names.new)
    fresh = {name for name in called.values() if name not in known}
    absent = [name for name in known if name not in called.values()]
    columns = task == "numbers" or (task == "labels" and "," in (options.label or ""))
    if columns and absent:
        raise DataError(
            f"the data has no column for {_listed(absent)}, which the skill answers; add it, or name it with --same."
        )
    if task == "numbers" and fresh:
        raise DataError(
            f"{_listed(sorted(fresh))} is a number that the skill does not answer; leave it out, or fit anew."
        )
    every = (*known, *in_order(fresh))
    place = {name: every.index(to) for name, to in called.items()}
    if task == "classes":
        where = np.array([place.get(name, -1) for name in data.classes])
        return replace(data, y=where[data.y], classes=every)
    y = np.full((len(data), len(every)), np.nan, data.y.dtype)
    for column, name in enumerate(data.classes):
        y[:, place[name]] = np.fmax(y[:, place[name]], data.y[:, column])
    return replace(data, y=y, classes=every)


def _order(data: Dataset) -> Rows:
    """Rows by their content, then by their answers: the same rows always come in the same order."""
    answers = [np.nan_to_num(np.atleast_1d(row), nan=-1.0).tolist() for row in data.y] if data.y is not None else []
    return np.array(sorted(range(len(data)), key=lambda row: (data.keys[row], answers[row])), np.int64)


def _divided(data: Dataset, looked: Look | None, seed: int) -> tuple[Rows, Rows | None, Folds, str]:
    """Rows to learn from, rows to judge on, or folds of both, and how in words."""
    same, data = repeats(data, looked=looked).near, _filled(data)
    if (data.part is not None and len(set(data.part)) > 1) or data.times is not None:
        found = split(data, seed=seed, repeats=same)
    elif len(data) >= _FEW:
        judge = _held_out(data, seed)
        learn = np.setdiff1d(np.arange(len(data)), judge)
        several = data.groups is not None and len(set(data.groups[learn])) > 1
        folds = choice_folds(data, learn, seed=seed)[:_CHOICES] if several else ()
        how = f"{len(judge)} of {len(data)} new rows were held out to judge by"
        found = apart(Split(learn, judge, folds, how), data, same)
    else:
        folds = _crossed(data, seed)
        how = f"each of {len(data)} new rows was judged by a head that had not learned from it"
        found = apart(Split(np.arange(len(data)), None, folds, how), data, same)
    return found.train, found.test, found.folds, found.how


def _held_out(data: Dataset, seed: int) -> Rows:
    """About a fifth: of every stratum at least one row, but never its only one; or whole groups.

    Raises:
        DataError: no row can be spared.
    """
    draw = np.random.default_rng([seed, len(data), 41])
    if data.groups is not None:
        names, group = np.unique(data.groups, return_inverse=True)
        if len(names) < 2:
            raise DataError("all new rows belong to one group, so none can be held out to judge by; drop --group.")
        order = draw.permutation(len(names))
        size = np.bincount(group)[order].cumsum()
        taken = order[: max(1, min(int((size <= len(data) / _FIFTH).sum()), len(names) - 1))]
        return np.flatnonzero(np.isin(group, taken))
    kinds, found = strata(data, np.arange(len(data))), []
    for kind in np.unique(kinds):
        mine = draw.permutation(np.flatnonzero(kinds == kind))
        found.append(mine[: min(max(1, round(len(mine) / _FIFTH)), len(mine) - 1)])
    if not sum(map(len, found)):
        raise DataError(f"none of {len(data)} new rows can be spared to judge by; give at least 2 of a class.")
    return np.sort(np.concatenate(found))


def _crossed(data: Dataset, seed: int) -> Folds:
    """Folds that judge each row once, but for the only row of a class.

    Raises:
        DataError: no row can be spared.
    """
    assert data.y is not None
    if data.groups is not None:
        group = np.unique(data.groups, return_inverse=True)[1]
        fold = np.random.default_rng([seed, len(data), 43]).permutation(int(group.max()) + 1)[group] % _FIFTH
        folds = tuple((np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold))
        folds = tuple((a, b) for a, b in folds if len(a))
    else:
        folds = own_folds(data.y, seed, _FIFTH)
        folds = tuple((a, b) for a, b in folds if not np.isin(b, a).any())
    if not folds:
        raise DataError(f"none of {len(data)} new rows can be spared to judge by; give at least 2 of a class.")
    return folds


def _filled(data: Dataset) -> Dataset:
    """The data with 0 for labels that nobody asked about."""
    return data if data.y is None or data.task != "labels" else replace(data, y=np.nan_to_num(data.y))


def _known(found: NewRows, skill: Skill) -> NewRows:
    """Without rows of classes that no row to learn from and no row before has told of."""
    data, old = found.data, len(skill.manifest["classes"])
    assert data.y is not None
    if data.task == "numbers":
        return found
    if data.task == "labels":
        return replace(found, added=data.classes[old:])
    told = np.union1d(np.arange(old), data.y[found.learn])
    strange = ~np.isin(data.y, told)
    if not strange.any():
        return replace(found, added=data.classes[old:])
    whole = np.flatnonzero(~strange)
    place = np.full(len(data), -1)
    place[whole] = np.arange(len(whole))
    names = tuple(data.classes[k] for k in told)
    kept = replace(data.take(whole), y=np.searchsorted(told, data.y[whole]), classes=names)
    lost = ", ".join(sorted({data.classes[k] for k in data.y[strange]}))
    note = f"{strange.sum()} rows of {lost} were left out: none of them could be learned from"
    judge = None if found.judge is None else place[np.setdiff1d(found.judge, np.flatnonzero(strange))]
    folds = tuple((place[a[~strange[a]]], place[b[~strange[b]]]) for a, b in found.folds)
    learn = place[found.learn]
    return replace(
        found, data=kept, added=names[old:], learn=learn, judge=judge, folds=folds, notes=(*found.notes, note)
    )


def _listed(names: Collection[str]) -> str:
    every = list(names)
    rest = f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
    return ", ".join(every[:_LISTED]) + rest
