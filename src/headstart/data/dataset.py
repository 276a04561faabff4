"""A set of examples as it was read: inputs, targets, where each came from, and why it was read so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UsageError

READS = {"image": "pictures", "text": "texts"}  # modality -> what a person calls its examples
TASKS = ("classes", "labels", "numbers")
WRITES = ("chat", "summaries", "text")  # what a language model learns to write
PARTS = ("train", "val", "test")
READERS = 8  # threads that hash files; they wait for the disk more than they compute

UNKNOWN = "is none of the labels"  # ends the reason why a row was left out that has another label than those known

Source = str | Path | NDArray


@dataclass(frozen=True)
class Problem:
    """A row or a file that was left out.

    Attributes:
        name: what a person calls it: a relative path, or "row 17".
        why: what is wrong with it.
        at: its place among all inputs a model was asked about, from 0; None where the order does not matter.
    """

    name: str
    why: str
    at: int | None = None


@dataclass(frozen=True)
class Options:
    """What the user said of the data; None leaves it to be found.

    Attributes:
        task: classes, labels (several per example) or numbers; chat, summaries or text for a language model.
        text, image: column of the inputs in a table.
        label: column of the targets, or several of them with commas between.
        group: column of groups that must not be torn apart; for folders a regular expression whose first
            bracket (or whole match) in a file's relative path names its group.
        time: column of times or of an order.
        classes: label names already known, as when a finished model is tested: their order is kept, one class
            is enough, and a label outside them becomes a problem.
        more: whether the examples add to what a finished model learned: then one class is enough, and few rows may
            have a label each.
        prompt, answer: columns of what is asked and what is answered, for a language model.
        system: what a talk begins with where it says nothing of the kind itself.
        mask: whether personal data in talks is replaced by the name of its kind.

    Raises:
        UsageError: a task that there is not.
    """

    task: str | None = None
    text: str | None = None
    image: str | None = None
    label: str | None = None
    group: str | None = None
    time: str | None = None
    classes: tuple[str, ...] | None = None
    more: bool = False
    prompt: str | None = None
    answer: str | None = None
    system: str | None = None
    mask: bool = False

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in (*TASKS, *WRITES):
            raise UsageError(f"--task {self.task} is unknown; use one of {', '.join((*TASKS, *WRITES))}.")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples in a fixed order.

    Attributes:
        path: where they were read from.
        modality: "image" or "text".
        task: "classes", "labels" (several per example) or "numbers".
        inputs: pictures as paths or as (h, w) or (h, w, 3) uint8 arrays; texts as str.
        names: what a person calls each: a relative path, or "row 17" (data rows count from 1).
        y: classes (n,) int64; labels (n, c) float32 of 0 and 1; numbers (n, t) float64; None when unlabelled.
        classes: the c label names, or the t names of the numbers.
        part: (n,) "train", "val" or "test" where the data says so.
        groups: (n,) str; rows of one group stay together.
        times: (n,) float64, seconds or any growing number.
        because: what was detected -> one sentence of why.
        problems: what was left out.
    """

    path: Path
    modality: str
    task: str
    inputs: tuple[Source, ...]
    names: tuple[str, ...]
    y: NDArray | None
    classes: tuple[str, ...]
    part: NDArray | None
    groups: NDArray | None
    times: NDArray | None
    because: Mapping[str, str]
    problems: tuple[Problem, ...]

    def __post_init__(self) -> None:
        columns = {"names": self.names, "y": self.y, "part": self.part, "groups": self.groups, "times": self.times}
        for name, column in columns.items():
            if column is not None and len(column) != len(self.inputs):
                raise DataError(f"{len(self.inputs)} inputs and {len(column)} {name} were given; give one for each.")

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Sequence[int] | NDArray) -> Dataset:
        """The examples at these positions (int) or where this mask is True, in this order."""
        chosen = np.arange(len(self))[np.asarray(rows, dtype=np.int64 if len(rows) == 0 else None)]
        taken = replace(
            self,
            inputs=tuple(self.inputs[row] for row in chosen),
            names=tuple(self.names[row] for row in chosen),
            y=_at(self.y, chosen),
            part=_at(self.part, chosen),
            groups=_at(self.groups, chosen),
            times=_at(self.times, chosen),
        )
        if "keys" in self.__dict__:  # what was hashed need not be hashed again
            taken.__dict__["keys"] = tuple(self.keys[row] for row in chosen)
        return taken

    @property
    def pictures(self) -> tuple[Path | NDArray, ...]:
        """The inputs of a data set of pictures."""
        return tuple(source for source in self.inputs if not isinstance(source, str))

    @property
    def texts(self) -> tuple[str, ...]:
        """The inputs of a data set of texts."""
        return tuple(str(source) for source in self.inputs)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """One sha256 per example, of its raw content: a file's bytes, an array with its shape, a text."""
        if not any(isinstance(source, Path) for source in self.inputs):
            return tuple(key(source) for source in self.inputs)
        with ThreadPoolExecutor(READERS) as pool:
            return tuple(pool.map(key, self.inputs))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the inputs in their order, the targets and their names."""
        digest = hashlib.sha256(json.dumps([self.modality, self.task, self.classes, self.keys]).encode())
        if self.y is not None:
            digest.update(f"{self.y.dtype}:{self.y.shape}".encode())
            digest.update(np.ascontiguousarray(self.y).tobytes())
        return digest.hexdigest()


def key(source: Source) -> str:
    """sha256 of one input's raw content."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if isinstance(source, str):
        return hashlib.sha256(source.encode("utf8", "surrogatepass")).hexdigest()
    digest = hashlib.sha256(f"{source.dtype}:{source.shape}".encode())
    digest.update(np.ascontiguousarray(source).tobytes())
    return digest.hexdigest()


def _at(column: NDArray | None, rows: NDArray[np.int64]) -> NDArray | None:
    return None if column is None else column[rows]
