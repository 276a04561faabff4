"""The plan of a fit: a file that a person can read, edit and give to another fit."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.adapt.learn import Learned
from headstart.adapt.probe import Ask
from headstart.data.dataset import Dataset, Options
from headstart.errors import UsageError
from headstart.sources.card import Card
from headstart.verbs.settings import Followed, Settings

_OPTIONS = ("task", "text", "image", "label", "group", "time")  # what a plan says of the data
_SETTINGS = ("source", "metric", "depth", "taps", "balance", "seed", "budget")  # that a plan decides
_TEXT, _WHOLE, _NUMBER, _FACT, _TEXTS, _TABLE = (
    "a text",
    "a whole number",
    "a number",
    "true or false",
    "a list of different texts",
    "a table",
)
_KINDS = {
    "data": _TEXT,
    "source": _TEXT,
    "source_digest": _TEXT,
    **dict.fromkeys(_OPTIONS, _TEXT),
    "metric": _TEXT,
    "depth": _WHOLE,
    "taps": _TEXTS,
    "balance": _FACT,
    "seed": _WHOLE,
    "budget": _NUMBER,
    "head": _TEXT,
    "strength": _NUMBER,
    "because": _TABLE,
}
_IS: dict[str, Callable[[object], bool]] = {
    _TEXT: lambda value: isinstance(value, str) and value != "",
    _WHOLE: lambda value: type(value) is int,
    _NUMBER: lambda value: type(value) in (int, float),
    _FACT: lambda value: type(value) is bool,
    _TEXTS: lambda value: isinstance(value, list) and bool(value) and _different_texts(value),
    _TABLE: lambda value: isinstance(value, dict),
}
_EXAMPLES = {_TEXT: '"minilm-l6"', _WHOLE: "1", _NUMBER: "60.0", _FACT: "true", _TEXTS: '["layer5", "layer6"]'}


def settings_of(path: str | Path, over: Settings | None = None) -> Settings:
    """The settings of a fit that follows a plan.

    The head and its strength stand in a plan to be read; they follow from the rest and are found anew. Threads and
    device belong to the machine and are not in it.

    Args:
        path: plan.toml as a fit wrote it; a key that was taken out is decided as if there were no plan.
        over: what was given beside the plan, and wins over it. Where that is another network or another depth, the
            plan's layers do not suit it and are found anew.

    Raises:
        UsageError: no such file, not TOML, a key that plans do not have, or a value of another kind.
    """
    over = over or Settings()
    said = _read(Path(path))
    same_source = over.source in (None, said.get("source"))
    if not same_source or over.depth not in (None, said.get("depth")):
        said.pop("taps", None)
    if "taps" in said:
        said["taps"] = tuple(said["taps"])
    decided = {name: said[name] for name in _SETTINGS if name in said and vars(over)[name] is None}
    followed = Followed(
        decided=frozenset(decided),
        options=Options(**{name: said.get(name) for name in _OPTIONS}),
        data=said.get("data", ""),
        source_digest=said.get("source_digest", "") if same_source else "",
    )
    return replace(over, **decided, followed=followed)


def options_of(settings: Settings, options: Options | None) -> Options:
    """What is said of the data: task and columns of the plan that is followed, where no others are given."""
    options = options or Options()
    planned = settings.followed.options if settings.followed else Options()
    given = {name: vars(options)[name] for name in _OPTIONS if vars(options)[name] is not None}
    return replace(planned, **given, classes=options.classes)


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


def plan_in_toml(data: Dataset, options: Options, ask: Ask, asked: Settings, card: Card, learned: Learned) -> str:
    """Everything that decided the fit, with where each choice came from; fingerprints of data and source on top."""
    values = {
        "data": data.fingerprint,
        "source": card.name,
        "source_digest": card.digest,
        "task": data.task,
        **{name: value for name in _OPTIONS[1:] if (value := vars(options)[name]) is not None},
        "metric": ask.metric,
        "depth": learned.depth,
        "taps": list(learned.taps),
        "balance": ask.balance,
        "seed": ask.seed,
    }
    if asked.budget is not None:
        values["budget"] = asked.budget
    found = {"head": learned.fitted.kind, "strength": learned.fitted.strength}
    lines = [f"{name} = {_in_toml(value)}" for name, value in values.items()]
    lines.append("# these two follow from the rest: who follows this plan finds them anew")
    lines += [f"{name} = {_in_toml(value)}" for name, value in found.items()]
    for name, (origin, text) in _because(data, asked, card, learned).items():
        lines += ["", f"[because.{name}]", f"from = {_in_toml(origin)}", f"text = {_in_toml(text)}"]
    return "\n".join(lines) + "\n"


def _because(data: Dataset, asked: Settings, card: Card, learned: Learned) -> dict[str, tuple[str, str]]:
    """Key -> where its value came from, and why in words."""
    because = {
        "source": ("default", f"the default for {card.modality}"),
        "metric": ("default", f"the default for {data.task}"),
        "depth": ("data", learned.rule),
        "taps": ("data", learned.rule),
        "strength": ("data", "least log loss in cross-validation among strengths that the metric cannot tell apart"),
    }
    for name in _SETTINGS:
        if vars(asked)[name] is not None:
            because[name] = ("user", learned.rule if name in ("depth", "taps") else "it was asked for")
    for name in asked.followed.decided if asked.followed else ():
        because[name] = ("plan", learned.rule if name in ("depth", "taps") else "the plan that was followed says so")
    return dict(sorted(because.items(), key=lambda item: list(_KINDS).index(item[0])))


def _in_toml(value: object) -> str:
    # JSON's words and strings are TOML's too, but for the sign that TOML does not allow inside a string unescaped
    return json.dumps(value).replace("\x7f", "\\u007F")


def _read(path: Path) -> dict[str, Any]:
    """The checked values of a plan."""
    try:
        said = tomllib.loads(path.read_text("utf8"))
    except OSError as error:
        raise UsageError(
            f"the plan {str(path)!r} cannot be opened ({error.strerror}); give the plan.toml inside a skill."
        ) from None
    except ValueError as error:  # not TOML, or not even text
        raise UsageError(
            f"the plan {str(path)!r} is not TOML ({error}); give the plan.toml that a fit wrote, or correct it."
        ) from None
    for name, value in said.items():
        if name not in _KINDS:
            raise UsageError(f"the plan {str(path)!r} has an unknown key {name!r}; use {', '.join(_KINDS)}.")
        kind = _KINDS[name]
        if not _IS[kind](value):
            raise UsageError(
                f"the plan {str(path)!r} says {name} = {_short(value)} where {kind} is needed; "
                f"write for example {name} = {_EXAMPLES[kind]}."
                if kind in _EXAMPLES
                else f"the plan {str(path)!r} says {name} = {_short(value)} where {kind} is needed; take {name} out."
            )
    return said


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _different_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) and value for value in values) and len(set(map(str, values))) == len(values)
