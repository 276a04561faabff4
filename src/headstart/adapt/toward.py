"""A tail that learns from one set and is brought near another without labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.data.dataset import Dataset
from headstart.errors import UsageError

if TYPE_CHECKING:
    from headstart.core.step import Penalty

PENALTIES = ("dann", "deep-coral")
TARGET = "target"  # name of the set that penalties draw from


@dataclass(frozen=True)
class Toward:
    """What a tail is brought near to, and by what.

    Attributes:
        data: the target; labels that it may have are not read.
        by: one of PENALTIES.

    Raises:
        UsageError: another penalty.
    """

    data: Dataset
    by: str = PENALTIES[0]

    def __post_init__(self) -> None:
        if self.by not in PENALTIES:
            raise UsageError(f"a tail cannot be adapted by {self.by!r}; use one of {', '.join(PENALTIES)}.")

    def penalty(self, width: int, seed: int) -> Penalty:
        """For features of this width."""
        from headstart.adapt.align.dann import Dann
        from headstart.adapt.align.deep_coral import DeepCoral

        made: dict[str, Callable[[], Penalty]] = {
            "dann": lambda: Dann(width, TARGET, seed=seed),
            "deep-coral": lambda: DeepCoral(TARGET),
        }
        return made[self.by]()
