"""Headstart: from a little data to a working model, with proof of what it was worth.

`hs.fit("photos/")` gives a skill, `hs.predict(skill, ["a.jpg"])` what it says of a new picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.verbs.demo import demo
    from headstart.verbs.export import export
    from headstart.verbs.fit import fit
    from headstart.verbs.inspect import inspect
    from headstart.verbs.models import models
    from headstart.verbs.predict import evaluate, predict

__all__ = ["__version__", "demo", "evaluate", "export", "fit", "inspect", "models", "predict"]

_HOME = {name: {"evaluate": "predict"}.get(name, name) for name in __all__[1:]}


def __getattr__(name: str) -> object:
    """Verbs are imported when they are first used: `import headstart` alone costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"headstart has no {name!r}; its verbs are {', '.join(__all__)}.")
    from importlib import import_module

    return vars(import_module(f"headstart.verbs.{_HOME[name]}"))[name]
