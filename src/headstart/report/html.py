"""A template as one HTML document: it needs no network, no scripts and no other file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headstart.report import wording

_FILTERS = (wording.duration, wording.size, wording.percent, wording.number)


def document(template: str, values: Mapping[str, object]) -> str:
    """The template with these values, users' texts escaped.

    Args:
        template: of this folder.

    Returns:
        The document; letters that cannot be written in UTF-8 are replaced, so that it always can be.
    """
    # a template engine takes longer to import than this package: only who makes a page pays for it
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for called in _FILTERS:
        environment.filters[called.__name__] = called
    return environment.get_template(template).render(**values).encode("utf8", "replace").decode("utf8")
