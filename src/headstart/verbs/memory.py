"""What a skill keeps of the rows that it learned from, so that it can go on learning without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.adapt.learn import Learned
from headstart.core.skill import Skill, content
from headstart.data.dataset import Dataset
from headstart.errors import DataError, SkillError
from headstart.heads.moments import Moments

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
    """

    moments: Moments
    keys: NDArray[np.uint64]

    def knows(self, keys: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) which of these rows are copies of rows that were learned from.

        Args:
            keys: of `Dataset.keys`.
        """
        return np.isin(hashed(keys), self.keys)

    def files(self) -> dict[str, bytes]:
        """File name -> content, for the skill's folder."""
        from safetensors.numpy import save

        return {FILE: save({**self.moments.arrays(), _KEYS: self.keys})}


def hashed(keys: Sequence[str]) -> NDArray[np.uint64]:
    """(n,) what is kept of each key."""
    return np.array([int(key[:_HEX], 16) for key in keys], np.uint64)


def kept_files(learned: Learned, data: Dataset, rows: NDArray[np.int64], remember: bool) -> dict[str, bytes]:
    """The file that a new skill keeps of the rows that it learned from; none where that is not wanted, or too wide."""
    if not remember or len(learned.head.mean) > WIDEST:
        return {}
    taken = data.take(rows)
    assert taken.y is not None
    moments = Moments.of(learned.read(rows, None), taken.y, data.task, len(data.classes))
    return Memory(moments, np.unique(hashed(taken.keys))).files()


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
    except (SafetensorError, DataError, KeyError, ValueError) as error:
        raise SkillError(f"{skill.folder / FILE} cannot be read ({error}); restore it or fit again.") from None
    width, columns = len(skill.arrays["head.mean"]), len(skill.manifest["classes"])
    if (moments.width, moments.columns) != (width, columns):
        raise SkillError(
            f"{skill.folder / FILE} is of {moments.width} features and {moments.columns} columns where the head has "
            f"{width} and {columns}; restore it or fit again."
        )
    return Memory(moments, keys)


def why_none(skill: Skill) -> str:
    """Why a skill keeps nothing, in words."""
    width = len(skill.arrays["head.mean"])
    if width > WIDEST:
        return f"its head reads {width:,} features, more than the {WIDEST:,} up to which moments are kept"
    return "it was made without moments (--no-moments, or by an earlier version)"
