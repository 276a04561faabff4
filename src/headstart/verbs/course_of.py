"""The plan that a fit of a language model came to, for the next one to follow."""

from __future__ import annotations

from headstart.data.dataset import Options
from headstart.report.spoken import SpokenRecord
from headstart.verbs.planfile import DECIDED, FORMAT, KEYS, RATES, Reason, written
from headstart.verbs.settings import NO_GUARD, Settings

_COLUMNS = ("prompt", "answer", "system")


def course_of(record: SpokenRecord, options: Options, asked: Settings) -> str:
    """Everything that decided the fit, with where each choice came from; fingerprints of data and source on top."""
    voice = record.voice
    values: dict[str, object] = {
        "format": FORMAT,
        "data": record.data.fingerprint,
        "source": voice.source,
        "source_digest": voice.digest,
        "task": record.data.kind,
        **{name: vars(options)[name] for name in _COLUMNS},
        "depth": voice.depth,
        "update": voice.update,
        "window": voice.window,
        "guard": NO_GUARD if asked.forget_at_most is None else "mix",
        "forget_at_most": asked.forget_at_most,
        "seed": record.seed,
        "budget": asked.budget,
        **{name: vars(voice)[name] for name in RATES},
    }
    because = {
        "source": Reason("default", "the default for talks and texts to be written"),
        "depth": Reason("default", voice.rule),
        "update": Reason("default", voice.rule),
        "window": Reason("data", "nearly all talks fit it as they are"),
        **{name: Reason("default", "what such a network took on other talks") for name in RATES},
    }
    for name in DECIDED:
        if vars(asked)[name] is not None:
            because[name] = Reason("user", "it was asked for")
    for name in asked.followed.decided if asked.followed else ():
        because[name] = Reason("plan", "the plan that was followed says so")
    return written(values, dict(sorted(because.items(), key=lambda item: list(KEYS).index(item[0]))), {})
