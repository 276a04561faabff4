"""Names of classes in new data beside those that a skill knows: the same, new, or so near that a person is asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from headstart.errors import UsageError

_LETTERS = 5  # of a name for each slip of the finger that it may hold
_LISTED = 8


def matched(
    seen: Sequence[str], known: Sequence[str], same: Mapping[str, str] | None = None, new: Collection[str] = ()
) -> dict[str, str]:
    """What each name in the new data is called from now on.

    Args:
        seen: in the data.
        known: of the skill.
        same: name in the data -> name of the skill.
        new: names that are none of the skill's, however near they are.

    Returns:
        Name in the data -> name of the skill, or itself where it is new.

    Raises:
        UsageError: a name near a known one without being equal, of which nothing was said, or something was said of
            names that are not there.
    """
    same = same or {}
    for name, old in same.items():
        if name not in seen:
            raise UsageError(f"--same {name}={old} speaks of {name!r}, and the data has {_listed(seen)}; correct it.")
        if old not in known:
            raise UsageError(
                f"--same {name}={old} speaks of {old!r}, and the skill knows {_listed(known)}; correct it."
            )
        if name in known and name != old:
            raise UsageError(f"--same {name}={old} joins two names that the skill tells apart; correct it.")
    for name in new:
        if name not in seen or name in known or name in same:
            why = "the skill knows it" if name in known or name in same else f"the data has {_listed(seen)}"
            raise UsageError(f"--new {name} speaks of a name that is not new: {why}; take it out.")
    unsaid = [name for name in seen if name not in known and name not in same and name not in new]
    alike = {name: old for name in unsaid if (old := next((old for old in known if near(name, old)), None)) is not None}
    if alike:
        there = " and ".join(f"{name!r} where the skill knows {old!r}" for name, old in alike.items())
        one = " ".join(f"--same '{name}={old}'" for name, old in alike.items())
        other = " ".join(f"--new '{name}'" for name in alike)
        each = "if both are one" if len(alike) == 1 else "for each, if both are one"
        raise UsageError(f"the data has {there}: {each} write {one}, and if it is another one write {other}.")
    return {name: same.get(name, name) for name in seen}


def near(a: str, b: str) -> bool:
    """Whether two different names may mean the same: but for case, blanks, hyphens, a plural or a slip of the finger.

    Names with other numbers in them are different on purpose.
    """
    if re.findall(r"\d+", a) != re.findall(r"\d+", b):
        return False
    one, two = _plain(a), _plain(b)
    if one == two or _stems(one) & _stems(two):
        return True
    allowed = max(len(one), len(two)) // _LETTERS
    return abs(len(one) - len(two)) <= allowed and slips(one, two) <= allowed


def slips(a: str, b: str) -> int:
    """Letters to insert, remove, replace or swap with their neighbour to come from one to the other.

    Reference:
        Damerau, 1964, doi:10.1145/363958.363994 (each letter is touched once).
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        now = [i]
        for j, other in enumerate(b, 1):
            least = min(row[j] + 1, now[j - 1] + 1, row[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                least = min(least, before[j - 2] + 1)
            now.append(least)
        before, row = row, now
    return row[-1]


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name).casefold()


def _stems(name: str) -> set[str]:
    """The name, and what it may be the plural of."""
    endings = (("ies", "y"), ("es", ""), ("s", ""))
    found = {name[: -len(end)] + one for end, one in endings if name.endswith(end) and len(name) > len(end) + 1}
    return {name, *found}


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    rest = f" and {len(every) - _LISTED} more" if len(every) > _LISTED else ""
    return ", ".join(every[:_LISTED]) + rest
