"""The heads that go into a merged skill, and which of them go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from numpy.typing import NDArray

from headstart.core.also import chosen, heads_of
from headstart.core.skill import TAIL, Skill
from headstart.errors import UsageError
from headstart.heads.linear import Linear
from headstart.report.record import Score
from headstart.verbs.predict import head_of
from headstart.verbs.shelf import Network, network_of
from headstart.verbs.skills import score_of

WAYS = ("stack", "average")


@dataclass(frozen=True, eq=False)
class Part:
    """A head that goes into a merged skill.

    Attributes:
        name: of the head in what comes of it.
        skill: with this head as its main one.
        network: that it reads.
        score: that its own fit measured; None where nothing says so.
    """

    name: str
    skill: Skill
    network: Network
    head: Linear
    score: Score | None

    @property
    def tail(self) -> dict[str, NDArray]:
        """What was learned below the head."""
        return {name: values for name, values in self.skill.arrays.items() if name.startswith(TAIL)}


def parts_of(skills: Sequence[Skill]) -> list[Part]:
    """Every head of these skills.

    Raises:
        SkillError: a head or a list of heads that cannot be read.
    """
    return _unlike([part for skill in skills for part in _heads(skill)])


def refuse(parts: Sequence[Part], how: str) -> None:
    """Refuse what cannot be merged so.

    Raises:
        UsageError: it says what to do instead.
    """
    if how not in WAYS:
        raise UsageError(f"{how!r} is no way to merge; use stack (several tasks) or average (one task).")
    if len(parts) < 2:
        raise UsageError(f"{len(parts)} skill was given; merge two or more.")
    first = parts[0]
    for part in parts[1:]:
        if (part.network.card, part.network.reads) != (first.network.card, first.network.reads):
            a, b = (f"{each.name} of {each.skill.manifest['source']['name']}" for each in (first, part))
            raise UsageError(f"{a} and {b} are of different networks; merge skills of one network.")
    if how == "stack":
        tails = {part.network.tail: part.name for part in parts if part.network.tail}
        if len(tails) > 1:
            raise UsageError(
                f"{' and '.join(tails.values())} learned different blocks below their heads, and one network holds one "
                "of them; stack skills of depth 1 and at most one deeper, or use --average."
            )
        return
    for part in parts[1:]:
        _refuse_unlike(first, part)


def _refuse_unlike(a: Part, b: Part) -> None:
    """Refuse to average these two."""
    one, other = a.skill.manifest, b.skill.manifest
    for what in ("task", "depth", "taps"):
        if one[what] != other[what]:
            raise UsageError(
                f"{a.name} has {what} {one[what]} and {b.name} has {other[what]}; average such as are alike, or use "
                "--stack."
            )
    if sorted(one["classes"]) != sorted(other["classes"]) or len(set(one["classes"])) != len(one["classes"]):
        unlike = sorted(set(one["classes"]) ^ set(other["classes"])) or one["classes"]
        raise UsageError(
            f"{a.name} and {b.name} do not answer the same classes ({', '.join(unlike[:5])}); use --stack."
        )


def _heads(skill: Skill) -> Iterator[Part]:
    """Every head of a skill."""
    names = heads_of(skill)
    for name in names:
        own = chosen(skill, name)
        score = score_of(skill.folder, None if name == names[0] else name)
        yield Part(name, own, network_of(own), head_of(own), score)


def _unlike(parts: Sequence[Part]) -> list[Part]:
    """The same parts, none with the name of another: the second `reviews` is `reviews-2`."""
    found: dict[str, Part] = {}
    for part in parts:
        name, k = part.name, 2
        while name in found:
            name, k = f"{part.name}-{k}", k + 1
        found[name] = replace(part, name=name)
    return list(found.values())
