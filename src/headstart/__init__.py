"""Headstart: from a little data to a working model, with proof of what it was worth.

    import headstart as hs
    skill = hs.fit("photos/")
    hs.predict(skill, ["a.jpg"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.verbs.fit import fit
    from headstart.verbs.predict import evaluate, predict

__version__ = "0.1.0.dev0"
__all__ = ["evaluate", "fit", "predict"]

_HOME = {"fit": "fit", "predict": "predict", "evaluate": "predict"}


def __getattr__(name: str) -> object:
    """Verbs are imported when they are first used: `import headstart` alone costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"headstart has no {name!r}; its verbs are {', '.join(__all__)}.")
    from importlib import import_module

    return vars(import_module(f"headstart.verbs.{_HOME[name]}"))[name]
