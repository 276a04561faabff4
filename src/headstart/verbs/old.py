"""What a network could do before a fit changes it: the head of a skill, of old data, or the network's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.guards import known_guard
from headstart.adapt.held import Reader
from headstart.adapt.keeper import Keeper
from headstart.adapt.learn import Learner
from headstart.adapt.old import Old
from headstart.core.archive import opened
from headstart.data.dataset import READS, UNKNOWN, Dataset, Options
from headstart.data.near import readable
from headstart.data.read import read
from headstart.data.split import choice_folds, some, within
from headstart.errors import DataError, UsageError
from headstart.heads.linear import Linear
from headstart.sources.find import SKILL, skill_folder
from headstart.verbs.prepared import ask_of, outputs_of
from headstart.verbs.settings import NO_GUARD, Settings

_LEARN, _CHOOSE, _TEST = 500, 1500, 2000  # rows of old data for guards, for the choice of one and for the report
_LETTERS = (
    1_000_000  # of texts among the rows that are followed, at most: they are read again for each share of the way
)
_FEWEST = 10  # rows that are followed however long they are
_LEAST = 30  # rows of old data below which nothing can be said

Rows = NDArray[np.int64]


def keeper_of(settings: Settings, held: Reader, modality: str, cache: Path) -> Keeper:
    """What is asked of going deeper, with the earlier task that there is.

    Raises:
        UsageError: a guard that there is not, or that lacks what it needs; old data of another kind.
        DataError: old data that cannot be read, or with labels that the old head does not know.
    """
    old = old_of(settings, held, modality, cache)
    guard = None if settings.guard == NO_GUARD else settings.guard
    if guard is not None:
        known_guard(guard, old, held.card.name)
    if settings.forget_at_most is not None and old is None:
        raise UsageError(
            f"--forget-at-most needs something that {held.card.name} could do before, and it has no head of its own; "
            "give data of the old task with --keep, or start from a skill (--source skill:PATH)."
        )
    return Keeper(old, guard, settings.guard_strength, settings.forget_at_most)


def old_of(settings: Settings, held: Reader, modality: str, cache: Path) -> Old | None:
    """The earlier task: of the skill that is the source, of the data to keep, or of the network's own head."""
    skill = None
    if settings.source and settings.source.startswith(SKILL) and not held.card.beside:
        skill = opened(skill_folder(settings.source.removeprefix(SKILL)), cache)
    if skill is not None:
        manifest = skill.manifest
        head = Linear.from_arrays(dict(skill.arrays), manifest["task"])
        old = Old(f"the skill {manifest['name']}", head, tuple(manifest["taps"]), manifest["metric"])
        if settings.keep is None:
            return old
        known = Options(task=manifest["task"], classes=tuple(manifest["classes"]))
        return _with_rows(old, _read(settings.keep, modality, known), held, cache, settings)
    if settings.keep is not None:
        return _of_data(_read(settings.keep, modality, None), held, cache, settings)
    return _own(held, cache)


def _read(path: str | Path, modality: str, known: Options | None) -> Dataset:
    try:
        data = read(path, known)
    except DataError as error:
        labels = f"; the old head knows {_few(known)}: give data of its task" if known else ""
        raise DataError(f"--keep: {str(error).rstrip('.')}{labels}.") from None
    if data.modality != modality:
        raise UsageError(
            f"--keep {path} holds {READS[data.modality]} and the data holds {READS[modality]}; give labelled "
            f"{READS[modality]} of the old task."
        )
    strange = [each for each in data.problems if each.why.endswith(UNKNOWN)]
    if strange:
        raise DataError(
            f"--keep {path}: {strange[0].name}: {strange[0].why}; the old head knows {_few(known)}: give data with "
            "its labels, or another --source."
        )
    if len(data) < _LEAST:
        raise DataError(f"--keep {path} has {len(data)} labelled examples; give at least {_LEAST} of the old task.")
    return readable(data, threads=2) if modality == "image" else data


def _few(known: Options | None) -> str:
    names = (known.classes if known else None) or ()
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _with_rows(old: Old, data: Dataset, held: Reader, cache: Path, settings: Settings) -> Old:
    """Its rows by what they are for; a given test part is the one for the report."""
    seed = settings.seed or 0
    every = np.arange(len(data))
    given = every[data.part == "test"] if data.part is not None else every[:0]
    most = _TEST if len(given) else min(_TEST, len(data) // 3)
    test = short(data, some(data, given if len(given) else every, most, seed=seed))
    rest = np.setdiff1d(every, given if len(given) else test)
    learn = some(data, rest, min(_LEARN, len(rest) // 2), seed=seed)
    choose = short(data, some(data, np.setdiff1d(rest, learn), _CHOOSE, seed=seed))
    return replace(old, features=outputs_of(held, data, cache), learn=learn, choose=choose, test=test)


def short(data: Dataset, rows: Rows, most: int = _LETTERS) -> Rows:
    """As many of these rows as have at most so many letters together, but ten at least; of pictures all."""
    if data.modality != "text":
        return rows
    order = np.random.default_rng([len(rows), 9]).permutation(rows)
    letters = np.cumsum([len(data.texts[row]) for row in order])
    return np.sort(order[: max(_FEWEST, int(np.searchsorted(letters, most)))])


def _of_data(data: Dataset, held: Reader, cache: Path, settings: Settings) -> Old:
    """A head for the old task, fitted on its rows for guards."""
    ask = ask_of(data, None, seed=settings.seed or 0)
    none = np.zeros(0)
    blank = Linear(none, none, none, none, 1.0, data.task)
    old = _with_rows(Old("", blank, (), ask.metric), data, held, cache, settings)
    assert old.features is not None
    learner = Learner(data, held, old.features, ask, cache, depth=1)
    folds = within(choice_folds(data, old.learn, seed=ask.seed), old.learn)
    learned = learner.learn(old.learn, folds)
    return replace(old, name=f"a head fitted on {data.path.name}", head=learned.head, taps=learned.taps)


def _own(held: Reader, cache: Path) -> Old | None:
    """The classifier that the network came with."""
    if held.card.beside:
        return None
    from headstart.sources.own import own_head

    found = own_head(held.card, cache)
    if found is None:
        return None
    weight, bias = found
    d = len(weight)
    head = Linear(np.zeros(d, np.float32), np.ones(d, np.float32), weight, bias, 1.0, "classes", np.inf)
    return Old(f"the classifier that {held.card.name} came with", head, held.taps[-1:], "accuracy")
