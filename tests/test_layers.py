"""Imports run downhill only: this file is the architecture."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import headstart

PACKAGE = Path(headstart.__file__).parent
LAYERS = (  # a folder may import from folders on lines above its own, never from its own line or below
    {"errors", "quiet", "units", "version"},
    {"places"},
    {"core"},
    {"engine", "data", "heads", "language", "retain"},
    {"rank", "mismatch", "sources"},
    {"adapt", "pretrain", "meta"},
    {"study"},
    {"report"},
    {"verbs"},
    {"cli", "serve"},
    {"__main__"},
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def imports_of(path: Path) -> Iterator[str]:
    """Folders of this package that a file imports from, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports so that the layer is visible in the line"
            parts = (node.module or "").split(".")
            if parts[0] == "headstart":
                yield from (parts[1:2] or [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("headstart."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_run_downhill(path):
    folder = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if folder == "__init__":
        return
    uphill = [t for t in imports_of(path) if t != folder and HEIGHT[t] >= HEIGHT[folder]]
    assert not uphill, f"{folder} imports {uphill}: move the shared part down, or pass the object in as an argument"
