"""Why a model cannot learn from some turns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from headstart.data.talks import Turn

OWNERS = {"system": "the system's", "user": "the user's", "assistant": "the assistant's"}


def fault(turns: Sequence[Turn]) -> str | None:
    """What is wrong with a talk, or None.

    The roles must be: at most one turn of the system, at the beginning; then the user's and the assistant's in turn,
    the user's first. The last may be the user's; nothing is learned from it.
    """
    for place, turn in enumerate(turns, 1):
        if not turn.text:
            return f"turn {place}, {OWNERS[turn.role]}, is empty"
    roles = [turn.role for turn in turns]
    for place, (before, role) in enumerate(pairwise(roles), 1):
        if role == before:
            return f"roles in a wrong order: turns {place} and {place + 1} are both {OWNERS[role]}"
        if role == "system":
            return f"roles in a wrong order: turn {place + 1} is the system's, and only the first may be"
    if "assistant" not in roles:
        return "no turn is the assistant's, so there is nothing to learn"
    if "user" not in roles[: roles.index("assistant")]:
        return "roles in a wrong order: the assistant speaks before the user"
    if not any(turn.told for turn in turns if turn.role == "assistant"):
        return "every answer has the weight 0, so there is nothing to learn"
    return None


def summary_fault(turns: Sequence[Turn]) -> str | None:
    """What is wrong with a document and its summary, or None."""
    if wrong := fault(turns):
        return wrong
    spoken = [turn.text for turn in turns if turn.role != "system"]
    if len(spoken) != 2:
        return f"it has {len(spoken)} turns, and a summary has two, the document and its summary"
    document, summary = spoken
    if len(summary) > len(document):
        return (
            f"the summary has {len(summary)} characters, more than the {len(document)} of its text; if it is no"
            " summary, say --task chat"
        )
    return None
