"""The plan of a fit as a file: read by a person, edited, and given to another fit."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.adapt.guards import GUARDS
from headstart.data.dataset import Dataset, Options
from headstart.errors import HeadstartError, UsageError
from headstart.heads.metrics import METRICS
from headstart.report.record import Foretold
from headstart.sources.card import Card
from headstart.verbs.settings import NO_GUARD, Followed, Settings

FORMAT = 1
UPDATES = ("head", "tail", "whole")  # depth in a word; norms and lora are tails of which only these learn
PARTLY = ("norms", "lora")
FORETOLD = ("score", "seconds", "memory_mb", "joules")  # what a plan says of the fit that follows it
OPTIONS = (
    "task",
    "text",
    "image",
    "label",
    "group",
    "time",
    "prompt",
    "answer",
    "system",
)  # what a plan says of the data
RATES = ("epochs", "lr", "batch")
GUARDED = ("guard", "guard_strength", "forget_at_most")
DECIDED = ("source", "metric", "depth", "taps", "balance", "seed", "budget", *RATES, "update", "window", *GUARDED)

_MOST = 1_000_000  # of anything that is counted: more is a slip of the finger

Rule = Callable[[Any], bool]


@dataclass(frozen=True)
class Key:
    """What may stand behind a key: what it is called in a message, an example, and whether a value is one."""

    kind: str
    example: str
    holds: Rule


def _whole(least: int, example: str, most: int = _MOST) -> Key:
    return Key(f"a whole number from {least} to {most}", example, lambda v: type(v) is int and least <= v <= most)


def _above_zero(example: str, most: float = math.inf) -> Key:
    kind = "a number above 0" + ("" if most == math.inf else f", at most {most:g}")
    return Key(kind, example, lambda v: type(v) in (int, float) and 0 < v <= most and v < math.inf)


def _one_of(*names: str) -> Key:
    return Key(f"one of {', '.join(names)}", f'"{names[0]}"', lambda v: v in names)


_TEXT = Key("a text", '"minilm-l6"', lambda v: isinstance(v, str) and v != "")
_NUMBER = Key("a number", "0.9", lambda v: type(v) in (int, float) and math.isfinite(v))
_TABLE = Key("a table", "", lambda v: isinstance(v, dict))
KEYS = {
    "format": _whole(1, str(FORMAT)),
    "data": _TEXT,
    "source": _TEXT,
    "source_digest": _TEXT,
    **dict.fromkeys(OPTIONS, _TEXT),
    "metric": _one_of(*METRICS),
    "depth": _whole(1, "1"),
    "update": _one_of(*UPDATES, *PARTLY, "all"),
    "window": _whole(16, "512"),
    "taps": Key("a list of different texts", '["layer5", "layer6"]', lambda v: _different_texts(v)),
    "guard": _one_of(NO_GUARD, *GUARDS),
    "guard_strength": Key("a number from 0 up", "1.0", lambda v: type(v) in (int, float) and 0 <= v < math.inf),
    "forget_at_most": Key("a share between 0 and 1", "0.01", lambda v: type(v) is float and 0 < v < 1),
    "balance": Key("true or false", "true", lambda v: type(v) is bool),
    "seed": Key("a whole number from 0 to 4294967295", "1", lambda v: type(v) is int and 0 <= v < 2**32),
    "budget": _above_zero("60.0"),
    "epochs": _whole(1, "4"),
    "lr": _above_zero("1e-3", 1.0),
    "batch": _whole(1, "32"),
    "score": _NUMBER,
    "seconds": _above_zero("20.0"),
    "memory_mb": _above_zero("600.0"),
    "joules": _above_zero("500.0"),
    "head": _TEXT,
    "strength": _NUMBER,
    "because": _TABLE,
}


@dataclass(frozen=True)
class Reason:
    """Where a value came from, why in words, and where it is foretold the range that holds it with 90 %."""

    origin: str
    text: str
    low: float | None = None
    high: float | None = None


def settings_of(path: str | Path, over: Settings | None = None) -> Settings:
    """The settings of a fit that follows a plan.

    The head and its strength stand in a plan to be read; they follow from the rest and are found anew. So do head, tail
    and whole, which are depth in words, and what is foretold. Threads and device belong to the machine, not to a plan.

    Args:
        path: plan.toml as a fit or `plan` wrote it; a key that was taken out is decided as if there were no plan.
        over: what was given beside the plan, and wins over it. Where that is another network or another depth, the
            plan's layers and rates do not suit it and are found anew.

    Raises:
        UsageError: no such file, not TOML, another format, a key that plans do not have, or a value that cannot be.
    """
    over, path = over or Settings(), Path(path)
    text = _text_of(path)
    said = _checked(path, text)
    same_source = over.source in (None, said.get("source"))
    if not same_source or over.depth not in (None, said.get("depth")):
        said = {name: value for name, value in said.items() if name not in ("taps", *RATES)}
    if "taps" in said:
        said["taps"] = tuple(said["taps"])
    if said.get("update") in UPDATES:
        del said["update"]  # depth in a word
    overruled = any(vars(over)[name] not in (None, said.get(name)) for name in DECIDED)
    decided = {name: said[name] for name in DECIDED if name in said and vars(over)[name] is None}
    followed = Followed(
        decided=frozenset(decided),
        options=replace(Options(), **{name: said.get(name) for name in OPTIONS}),
        data=said.get("data", ""),
        source_digest=said.get("source_digest", "") if same_source else "",
        foretold=() if overruled else _foretold(said),
        path=str(path),
        lines={name: _line(text, name) for name in decided},
    )
    return replace(over, **decided, followed=followed)


def options_of(settings: Settings, options: Options | None) -> Options:
    """What is said of the data: task and columns of the plan that is followed, where no others are given."""
    options = options or Options()
    planned = settings.followed.options if settings.followed else Options()
    given = {name: vars(options)[name] for name in OPTIONS if vars(options)[name] is not None}
    return replace(planned, **given, classes=options.classes, more=options.more, mask=options.mask)


@contextmanager
def lined(settings: Settings, key: str) -> Iterator[None]:
    """Inside, an error about what a plan decided begins with the line that says it."""
    try:
        yield
    except HeadstartError as error:
        followed = settings.followed
        if followed is None or key not in followed.decided:
            raise
        raise type(error)(f"{followed.where(key)}: {error}") from None


def same_network(settings: Settings, card: Card) -> None:
    """Refuse a network with other weights than the plan's.

    Raises:
        UsageError: the digests differ.
    """
    planned = settings.followed.source_digest if settings.followed else ""
    if planned and planned != card.digest:
        raise UsageError(
            f"the plan was made with a network of digest {planned[:16]}… and {card.name} has {card.digest[:16]}…; "
            "give --source, or take source_digest out of the plan to use this one."
        )


def suits_network(settings: Settings, taps: tuple[str, ...], name: str) -> None:
    """Refuse what a plan says and the network does not have, with the line that says it.

    Args:
        taps: of the network, whose head is one block more.
        name: of the network.

    Raises:
        UsageError: a depth or a layer that is not there.
    """
    followed = settings.followed
    if followed is None:
        return
    if "depth" in followed.decided and (settings.depth or 1) > len(taps) + 1:
        raise UsageError(
            f"{followed.where('depth')} says depth = {settings.depth} and {name} has {len(taps) + 1} blocks; "
            f"write a number from 1 to {len(taps) + 1}."
        )
    lost = [tap for tap in settings.taps or () if tap not in taps]
    if "taps" in followed.decided and lost:
        raise UsageError(
            f"{followed.where('taps')} names {', '.join(lost)}, which {name} does not have; use {', '.join(taps)}."
        )


def taps_chosen_here(settings: Settings, data: Dataset) -> bool:
    """Whether the layers come from a plan that was made for these very rows."""
    followed = settings.followed
    return followed is not None and "taps" in followed.decided and followed.data == data.fingerprint


def other_data(settings: Settings, data: Dataset) -> str:
    """One line where the plan that is followed was made for other data, else nothing."""
    planned = settings.followed.data if settings.followed else ""
    if planned in ("", data.fingerprint):
        return ""
    return (
        f"the plan was made for other data (fingerprint {planned[:16]}…, this is {data.fingerprint[:16]}…); "
        "what it decided is used for these rows as it stands"
    )


def update_of(depth: int, blocks: int, update: str = "all") -> str:
    """Depth in a word: head, tail or whole; or what alone learns in a tail: norms or lora."""
    if depth > 1 and update in PARTLY:
        return update
    return UPDATES[0] if depth == 1 else UPDATES[2] if depth >= blocks else UPDATES[1]


def written(values: Mapping[str, object], because: Mapping[str, Reason], notes: Mapping[str, str]) -> str:
    """A plan as TOML: flat values in the order of `KEYS`, then where each came from.

    Args:
        values: key -> value; None is left out.
        notes: key -> a comment above it.
    """
    lines = []
    for name in KEYS:
        if values.get(name) is not None:
            lines += [f"# {notes[name]}"] if name in notes else []
            lines.append(f"{name} = {_in_toml(values[name])}")
    for name in KEYS:
        if name in because and values.get(name) is not None:
            reason = because[name]
            lines += ["", f"[because.{name}]", f"from = {_in_toml(reason.origin)}", f"text = {_in_toml(reason.text)}"]
            if reason.low is not None and reason.high is not None:
                lines += [f"low = {_in_toml(reason.low)}", f"high = {_in_toml(reason.high)}"]
    return "\n".join(lines) + "\n"


def _in_toml(value: object) -> str:
    # JSON's words and strings are TOML's too, but for the sign that TOML does not allow inside a string unescaped
    return json.dumps(value).replace("\x7f", "\\u007F")


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf8")
    except OSError as error:
        raise UsageError(
            f"the plan {str(path)!r} cannot be opened ({error.strerror}); give the plan.toml inside a skill."
        ) from None
    except ValueError as error:  # not even text
        raise UsageError(
            f"the plan {str(path)!r} is not TOML ({error}); give the plan.toml that a fit wrote."
        ) from None


def _checked(path: Path, text: str) -> dict[str, Any]:
    """The values of a plan."""
    plan = f"the plan {str(path)!r}"
    try:
        said = tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"{plan} is not TOML ({error}); give the plan.toml that a fit wrote, or correct it.") from None
    if said.get("format", FORMAT) != FORMAT and KEYS["format"].holds(said["format"]):
        raise UsageError(
            f"{plan} has format {said['format']} and this version reads {FORMAT}; make it anew with `headstart plan`."
        )
    for name, value in said.items():
        line = f"line {_line(text, name)} of {plan}"
        if name not in KEYS:
            raise UsageError(f"{line} has an unknown key {name!r}; use {', '.join(KEYS)}.")
        key = KEYS[name]
        if not key.holds(value):
            then = f"write for example {name} = {key.example}" if key.example else f"take {name} out"
            raise UsageError(f"{line} says {name} = {_short(value)} where {key.kind} is needed; {then}.")
    if "update" in said and "depth" in said and (said["update"] == UPDATES[0]) != (said["depth"] == 1):
        raise UsageError(
            f"line {_line(text, 'update')} of {plan} says update = {said['update']!r} and depth is {said['depth']}; "
            "a head alone is depth 1: change the one or the other, or take update out."
        )
    return said


def _foretold(said: Mapping[str, Any]) -> tuple[Foretold, ...]:
    """What the plan says of the fit, with its ranges where they can be read."""
    found, because = [], said.get("because", {})
    for name in FORETOLD:
        reason = because.get(name, {}) if isinstance(because, dict) else {}
        if name in said and isinstance(reason, dict) and all(_NUMBER.holds(reason.get(end)) for end in ("low", "high")):
            told = Foretold(name, float(said[name]), float(reason["low"]), float(reason["high"]))
            found += [told] if told.low <= told.value <= told.high else []  # an edited value is nobody's promise
    return tuple(found)


def _line(text: str, name: str) -> int:
    """Number of the line in which a key gets its value."""
    form = re.compile(rf"\s*(\[\s*)?[\"']?{re.escape(name)}[\"']?\s*[=.\]]")
    return next((number for number, line in enumerate(text.splitlines(), 1) if form.match(line)), 1)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _different_texts(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, str) and one for one in value) and len(set(value)) == len(value)
