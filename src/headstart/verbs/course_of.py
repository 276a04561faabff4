"""The plan of a language model's learning as a file: what a fit came to, or what is foretold of one."""

from __future__ import annotations

from collections.abc import Mapping

from headstart.adapt.foretell import Range
from headstart.core.plan import Plan
from headstart.verbs.lesson import Lesson
from headstart.verbs.planfile import DECIDED, FORMAT, KEYS, RATES, Reason, written
from headstart.verbs.settings import NO_GUARD

_COLUMNS = ("prompt", "answer", "system", "group")


def course_of(lesson: Lesson, plan: Plan, foretold: Mapping[str, Range] | None = None) -> str:
    """Everything that decides the fit, with where each choice came from; fingerprints of data and source on top.

    Args:
        plan: that was followed, or is to be.
        foretold: key of `planfile.FORETOLD` -> what is to be expected.
    """
    asked, rule = lesson.settings, lesson.course.rule
    values: dict[str, object] = {
        "format": FORMAT,
        "data": lesson.fingerprint,
        "source": lesson.card.name,
        "source_digest": lesson.card.digest,
        "task": lesson.talks.kind,
        **{name: vars(lesson.options)[name] for name in _COLUMNS},
        "depth": plan.depth,
        "update": plan.update,
        "window": lesson.window,
        "guard": NO_GUARD if asked.forget_at_most is None else "mix",
        "forget_at_most": asked.forget_at_most,
        "seed": plan.seed,
        "budget": asked.budget,
        **{name: vars(plan)[name] for name in RATES},
    }
    because = {
        "source": Reason("default", "the default for talks and texts to be written"),
        "depth": Reason("default", rule),
        "update": Reason("default", rule),
        "window": Reason("data", "nearly all talks fit it as they are"),
        **{name: Reason("default", "what such a network took on other talks") for name in RATES},
    }
    for name in DECIDED:
        if vars(asked)[name] is not None:
            because[name] = Reason("user", "it was asked for")
    for name in asked.followed.decided if asked.followed else ():
        because[name] = Reason("plan", "the plan that was followed says so")
    for name, each in (foretold or {}).items():
        value, low, high = (round(number, 1) for number in (each.value, each.low, each.high))
        values[name], because[name] = value, Reason("machine", each.origin, low, high)
    return written(values, dict(sorted(because.items(), key=lambda item: list(KEYS).index(item[0]))), {})
