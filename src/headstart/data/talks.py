"""What a language model learns from, as it was read: talks, summaries or plain texts, each as turns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import WRITES, Problem
from headstart.errors import DataError

ROLES = ("system", "user", "assistant")  # of a talk or a summary
PLAIN = "text"  # the role of the one turn of a plain text
KINDS = WRITES


@dataclass(frozen=True)
class Turn:
    """What one side says.

    Attributes:
        role: system, user or assistant; text for a plain text.
        text: without blanks around it.
        told: whether an answer of the assistant is to be learned; what the others say never is.

    Raises:
        DataError: a role that there is not.
    """

    role: str
    text: str
    told: bool = True

    def __post_init__(self) -> None:
        if self.role not in (*ROLES, PLAIN):
            raise DataError(f"a turn has the role '{self.role}'; use one of {', '.join((*ROLES, PLAIN))}.")


@dataclass(frozen=True)
class Talk:
    """Turns in their order; a summary is a turn of the user (the document) and one of the assistant.

    Attributes:
        turns: at least one.
        name: what a person calls it: "line 17", "row 3", a file's path or the id of a dialogue.
    """

    turns: tuple[Turn, ...]
    name: str

    @property
    def key(self) -> str:
        """sha256 of the roles and texts, and of which answers are not to be learned; the name does not matter."""
        said = [[turn.role, turn.text] if turn.told else [turn.role, turn.text, 0] for turn in self.turns]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Talks:
    """Talks in a fixed order.

    Attributes:
        path: where they were read from.
        kind: "chat", "summaries" or "text".
        talks: n of them.
        part: (n,) "train", "val" or "test" where the files say so.
        groups: (n,) str; talks of one group stay together.
        references: for summaries every summary of each document, the one to learn first; else None.
        because: what was detected -> one sentence of why.
        problems: what was left out.

    Raises:
        DataError: a kind that there is not, or columns of other lengths.
    """

    path: Path
    kind: str
    talks: tuple[Talk, ...]
    part: NDArray | None
    groups: NDArray | None
    references: tuple[tuple[str, ...], ...] | None
    because: Mapping[str, str]
    problems: tuple[Problem, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"the kind '{self.kind}' is unknown; use one of {', '.join(KINDS)}.")
        for name, column in {"part": self.part, "groups": self.groups, "references": self.references}.items():
            if column is not None and len(column) != len(self.talks):
                raise DataError(f"{len(self.talks)} talks and {len(column)} {name} were given; give one for each.")

    def __len__(self) -> int:
        return len(self.talks)

    def take(self, rows: Sequence[int] | NDArray) -> Talks:
        """The talks at these positions (int) or where this mask is True, in this order."""
        chosen = np.arange(len(self))[np.asarray(rows, dtype=np.int64 if len(rows) == 0 else None)]
        taken = replace(
            self,
            talks=tuple(self.talks[row] for row in chosen),
            part=None if self.part is None else self.part[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            references=None if self.references is None else tuple(self.references[row] for row in chosen),
        )
        if "keys" in self.__dict__:  # what was hashed need not be hashed again
            taken.__dict__["keys"] = tuple(self.keys[row] for row in chosen)
        return taken

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """One sha256 per talk; see `Talk.key`."""
        return tuple(talk.key for talk in self.talks)
