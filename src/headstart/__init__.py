"""Headstart: from a little data to a working model, with proof of what it was worth.

`hs.fit("photos/")` gives a skill, `hs.predict(skill, ["a.jpg"])` what it says of a new picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.verbs.compare import compare
    from headstart.verbs.demo import demo
    from headstart.verbs.differ import differ
    from headstart.verbs.export import export
    from headstart.verbs.familiar import familiar
    from headstart.verbs.fit import fit
    from headstart.verbs.inspect import inspect
    from headstart.verbs.merge import merge
    from headstart.verbs.models import models
    from headstart.verbs.plan import Limits, plan
    from headstart.verbs.planfile import settings_of
    from headstart.verbs.predict import evaluate, predict
    from headstart.verbs.rank import rank
    from headstart.verbs.settings import Settings
    from headstart.verbs.shelf import Shelf
    from headstart.verbs.skills import pack, skills, unpack
    from headstart.verbs.takeover import rollback
    from headstart.verbs.update import update
    from headstart.verbs.voice import open_voice
    from headstart.verbs.write import Decoding, chat, generate, summarize

__all__ = [
    "Decoding",
    "Limits",
    "Settings",
    "Shelf",
    "__version__",
    "chat",
    "compare",
    "demo",
    "differ",
    "evaluate",
    "export",
    "familiar",
    "fit",
    "generate",
    "inspect",
    "merge",
    "models",
    "open_voice",
    "pack",
    "plan",
    "predict",
    "rank",
    "rollback",
    "settings_of",
    "skills",
    "summarize",
    "unpack",
    "update",
]

_HOME = {name: name for name in __all__} | {
    "evaluate": "predict",
    "Limits": "plan",
    "Settings": "settings",
    "Shelf": "shelf",
    "open_voice": "voice",
    **dict.fromkeys(("Decoding", "chat", "generate", "summarize"), "write"),
    "pack": "skills",
    "rollback": "takeover",
    "settings_of": "planfile",
    "unpack": "skills",
}


def __getattr__(name: str) -> object:
    """Verbs are imported when they are first used: `import headstart` alone costs nothing."""
    if name not in __all__:
        raise AttributeError(f"headstart has no {name!r}; it has {', '.join(__all__)}.")
    from importlib import import_module

    return vars(import_module(f"headstart.verbs.{_HOME[name]}"))[name]
