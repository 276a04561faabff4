"""Several heads in one skill: one network, several tasks.

The manifest's own task is that of the main head, whose name is `head`; `also` lists the others, each with `name`,
`task`, `classes`, `metric`, `taps` and `depth`. The arrays of the k-th of them are called `also.k.head.*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from headstart.core.skill import MANIFEST, Skill
from headstart.errors import SkillError, UsageError

ALSO = "also"
MAIN = "head"
OWN = ("task", "classes", "metric", "taps", "depth")  # what each head has for itself
_HEAD = "head."


def heads_of(skill: Skill) -> tuple[str, ...]:
    """Names of the heads, the main one first; of a skill with one head the skill's own name.

    Raises:
        SkillError: a list of heads that cannot be one.
    """
    others = [each["name"] for each in _others(skill)]
    return (str(skill.manifest.get(MAIN) or skill.manifest.get("name", skill.folder.name)), *others)


def chosen(skill: Skill, name: str | None) -> Skill:
    """The skill as it is with this head as its main one; the others stay in the manifest.

    Args:
        name: None takes the main head.

    Raises:
        UsageError: no head of that name.
        SkillError: a list of heads that cannot be one.
    """
    names = heads_of(skill)
    if name is None or name == names[0]:
        return skill
    if name not in names:
        raise UsageError(f"{skill.folder} has no head {name!r}; use one of {', '.join(names)}.")
    k = names.index(name) - 1
    own = {key: _others(skill)[k][key] for key in OWN}
    arrays = {array: values for array, values in skill.arrays.items() if not array.startswith(_HEAD)}
    return replace(skill, manifest={**skill.manifest, **own, MAIN: name}, arrays={**arrays, **head_arrays(skill, k)})


def head_arrays(skill: Skill, k: int) -> dict[str, NDArray]:
    """Arrays of the k-th head beside the main one, as `heads.linear.Linear.from_arrays` wants them."""
    start = f"{ALSO}.{k}."
    return {name.removeprefix(start): values for name, values in skill.arrays.items() if name.startswith(start)}


def named(k: int, arrays: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Arrays of a head under the names of the k-th beside the main one."""
    return {f"{ALSO}.{k}.{name}": values for name, values in arrays.items()}


def _others(skill: Skill) -> list[dict[str, Any]]:
    others = skill.manifest.get(ALSO, [])
    good = isinstance(others, list) and all(
        isinstance(each, dict) and isinstance(each.get("name"), str) and set(OWN) <= set(each) for each in others
    )
    if not good:
        raise SkillError(f"{skill.folder / MANIFEST} has a list of heads that cannot be read; restore it or fit again.")
    return others
