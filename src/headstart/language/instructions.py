"""Short instructions that a program can check: how many of them a small language model follows, before and after.

The prompts were written for this project. They go from copying one word to forms that small models mostly miss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.language import spread
from headstart.language.rules import RULES
from headstart.language.spread import Estimate, share_lost

_FILE = Path(__file__).parent / "instructions.json"


@dataclass(frozen=True)
class Check:
    """A rule of `RULES` and what it is told."""

    rule: str
    texts: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Instruction:
    """A prompt, and what an answer must keep to.

    Attributes:
        id: its kind and number, such as copy-3.
        prompt: for the model.
        kind: what it asks for, such as a form, a length or an order.
        checks: all of which an answer must pass.
    """

    id: str
    prompt: str
    kind: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Share:
    """Share of instructions kept.

    Attributes:
        value: 0..1.
        low, high: Wilson's 95 % interval, as for other instructions of these kinds.
        by_kind: the same for each kind alone, in the order of the probe.
    """

    value: float
    low: float
    high: float
    by_kind: Mapping[str, Estimate]


@dataclass(frozen=True)
class Lost:
    """How many fewer instructions are kept after than before.

    Attributes:
        value: share lost, -1..1; below 0 where more was won than lost.
        low, high: its 95 % interval (Tango's, of paired shares).
        worse, better: instructions kept before alone, and after alone.
        p: of McNemar's exact test that worse and better are as likely, two-sided.
    """

    value: float
    low: float
    high: float
    worse: int
    better: int
    p: float


def probe() -> tuple[Instruction, ...]:
    """All instructions, the same at every call."""
    return tuple(_read(**entry) for entry in json.loads(_FILE.read_text("utf8")))


def kept(answer: str, instruction: Instruction) -> bool:
    """Whether an answer passes every check.

    Space around it is no part of it. An empty answer passes none, and neither does one that says the whole prompt
    again.

    Raises:
        DataError: the answer is no text.
    """
    if not isinstance(answer, str):
        raise DataError(f"the answer to {instruction.id} is {answer!r}; give a text, an empty one for no answer.")
    said = answer.strip()
    if not said or instruction.prompt in said:
        return False
    return all(RULES[check.rule](said, check.texts, check.numbers) for check in instruction.checks)


def share(answers: Sequence[str], instructions: Sequence[Instruction] | None = None) -> Share:
    """Share of the instructions that these answers keep.

    Args:
        answers: one for each instruction, in order.
        instructions: a part of the probe; None for all of it.

    Raises:
        DataError: another number of answers than instructions, or none.

    Reference:
        Zhou et al., 2023, arXiv:2311.07911 (the idea of instructions that a program checks; strict, by prompt).
    """
    asked = probe() if instructions is None else tuple(instructions)
    right = _right(answers, asked)
    kinds = {instruction.kind: [] for instruction in asked}
    for instruction, good in zip(asked, right, strict=True):
        kinds[instruction.kind].append(bool(good))
    whole = spread.share(int(right.sum()), len(right))
    return Share(
        whole.value,
        whole.low,
        whole.high,
        {kind: spread.share(sum(good), len(good)) for kind, good in kinds.items()},
    )


def lost(before: Sequence[str], after: Sequence[str], instructions: Sequence[Instruction] | None = None) -> Lost:
    """How many fewer instructions are kept after than before, on the same instructions.

    Args:
        before, after: answers, one for each instruction, in order.
        instructions: a part of the probe; None for all of it.

    Raises:
        DataError: another number of answers than instructions, or none.

    Reference:
        McNemar, 1947, doi:10.1007/BF02295996 (exact: the binomial test of the changed ones).
    """
    from scipy.stats import binomtest

    asked = probe() if instructions is None else tuple(instructions)
    one, other = _right(before, asked), _right(after, asked)
    worse, better = int((one & ~other).sum()), int((other & ~one).sum())
    gap = share_lost(worse, better, len(asked))
    p = float(binomtest(worse, worse + better).pvalue) if worse + better else 1.0
    return Lost(gap.value, gap.low, gap.high, worse, better, p)


def _right(answers: Sequence[str], asked: tuple[Instruction, ...]) -> NDArray[np.bool_]:
    if isinstance(answers, str) or len(answers) != len(asked) or not asked:
        seen = "one string" if isinstance(answers, str) else f"{len(answers)} answers"
        raise DataError(f"{seen} to {len(asked)} instructions were given; give one answer for each, at least one.")
    return np.array([kept(answer, instruction) for answer, instruction in zip(answers, asked, strict=True)])


def _read(id: str, prompt: str, checks: list[list[str | int]]) -> Instruction:
    """An entry of the file, in which a check is its rule followed by texts and numbers."""
    return Instruction(
        id,
        prompt,
        id.rsplit("-", 1)[0],
        tuple(
            Check(
                str(rule),
                tuple(part for part in told if isinstance(part, str)),
                tuple(part for part in told if isinstance(part, int)),
            )
            for rule, *told in checks
        ),
    )
