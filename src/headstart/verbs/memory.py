"""What a skill keeps of the rows that it learned from, so that it can go on learning without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.learn import Learned
from headstart.adapt.renew import Lesson, Way
from headstart.core.skill import Skill, content
from headstart.data.dataset import Dataset
from headstart.errors import DataError, SkillError
from headstart.heads.moments import Moments
from headstart.retain.kept import Sample
from headstart.verbs.settings import Settings

FILE = "moments.safetensors"
WIDEST = 4096  # features, whose second moments take 34 MB on disk
_KEYS = "keys"
_HEX = 16  # digits of a sha256 that are kept of each row


@dataclass(frozen=True, eq=False)
class Memory:
    """What is kept of rows.

    Attributes:
        moments: of the features that the head reads.
        keys: (n,) uint64, sorted: the first 8 bytes of each row's sha256, by which a copy is known again.
        sample: features of some of the rows; None where none are kept.
    """

    moments: Moments
    keys: NDArray[np.uint64]
    sample: Sample | None = None

    def knows(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) which of these rows are copies of rows that were learned from.

        Args:
            keys: of `Dataset.keys`.
        """
        return np.isin(hashed(keys), self.keys)

    def files(self) -> dict[str, bytes]:
        """File name -> content, for the skill's folder."""
        from safetensors.numpy import save

        sample = {} if self.sample is None else self.sample.arrays()
        return {FILE: save({**self.moments.arrays(), _KEYS: self.keys, **sample})}

    @property
    def card(self) -> str:
        """What the model card says of rows that are kept; nothing where none are."""
        if self.sample is None:
            return ""
        rows = "1 row" if len(self.sample) == 1 else f"{len(self.sample):,} rows"
        return (
            f"\n## Rows that it keeps\n\n`{FILE}` holds the features of {rows} that it learned from, with their "
            "targets, so that an update can learn and judge by them (`--sample`). Features can tell of what they were "
            "made from: pass the file on as you would pass on the rows.\n"
        )

    def after(self, lesson: Lesson, way: Way, keys: Sequence[str]) -> Memory:
        """What is kept after a head learned a lesson in a way.

        Args:
            keys: of the lesson's rows.
        """
        moments, sample, ask = lesson.moments(way.weight), self.sample, lesson.ask
        if sample is not None:
            new = np.bincount(lesson.y, minlength=ask.columns) if ask.task == "classes" else len(lesson.y)
            stood = (moments.count if ask.task == "classes" else np.asarray(moments.rows)) - new
            sample = sample.with_columns(ask.columns).plus(lesson.x, lesson.y, stood, seed=ask.seed)
        return Memory(moments, np.union1d(self.keys, hashed(keys)), sample)


def hashed(keys: Sequence[str]) -> NDArray[np.uint64]:
    """(n,) what is kept of each key."""
    return np.array([int(key[:_HEX], 16) for key in keys], np.uint64)


def memory_of(
    learned: Learned, data: Dataset, rows: NDArray[np.int64], settings: Settings, say: Callable[[str], None]
) -> Memory | None:
    """What a new skill keeps of the rows that it learned from; None where that is not wanted, or too wide.

    Args:
        say: told where a sample was asked for and cannot be kept.
    """
    width = len(learned.head.mean)
    if settings.sample and width > WIDEST:
        say(f"no sample is kept: the head reads {width:,} features, more than the {WIDEST:,} up to which rows are kept")
    if not settings.remember or width > WIDEST:
        return None
    taken = data.take(rows)
    assert taken.y is not None
    x, columns = learned.read(rows, None), len(data.classes)
    moments, keys = Moments.of(x, taken.y, data.task, columns), np.unique(hashed(taken.keys))
    if not settings.sample:
        return Memory(moments, keys)
    deviation = np.sqrt(moments.spread[:width])
    # a feature that never moved has no unit of its own
    scale = np.where(deviation > max(1e-6 * np.median(deviation), 1e-30), deviation, 1.0)
    empty = Sample.empty(data.task, settings.sample, columns=columns, origin=moments.origin[:width], scale=scale)
    stood = np.zeros(columns if data.task == "classes" else ())
    return Memory(moments, keys, empty.plus(x, taken.y, stood, seed=settings.seed or 0))


def recall(skill: Skill) -> Memory | None:
    """What a skill keeps of the rows that it learned from; None where it keeps nothing.

    Raises:
        SkillError: the file was changed, or is of another head.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    raw = content(skill, FILE)
    if raw is None:
        return None
    try:
        arrays = load(raw)
        moments = Moments.from_arrays(arrays, skill.manifest["task"])
        keys = arrays[_KEYS].astype(np.uint64)
        sample = Sample.from_arrays(arrays, moments.task, moments.columns, moments.origin[: moments.width])
    except (SafetensorError, DataError, KeyError, ValueError) as error:
        raise SkillError(f"{skill.folder / FILE} cannot be read ({error}); restore it or fit again.") from None
    width, columns = len(skill.arrays["head.mean"]), len(skill.manifest["classes"])
    if (moments.width, moments.columns) != (width, columns):
        raise SkillError(
            f"{skill.folder / FILE} is of {moments.width} features and {moments.columns} columns where the head has "
            f"{width} and {columns}; restore it or fit again."
        )
    return Memory(moments, keys, sample)


def why_none(skill: Skill) -> str:
    """Why a skill keeps nothing, in words."""
    width = len(skill.arrays["head.mean"])
    if width > WIDEST:
        return f"its head reads {width:,} features, more than the {WIDEST:,} up to which moments are kept"
    return "it was made without moments (--no-moments, or by an earlier version)"
