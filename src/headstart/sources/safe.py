"""What the card inside a skill may ask for: a skill comes from anywhere, and its card with it."""

from __future__ import annotations

from pathlib import Path

from headstart.core.harmless import CODE
from headstart.errors import SourceError
from headstart.sources.card import Card
from headstart.sources.catalog import CATALOG
from headstart.sources.fetch import converted_of


def refuse_code(card: Card, cache: Path) -> None:
    """Refuse the card of a skill that names weights whose loading may run code.

    A hash proves nothing here: who made the skill wrote it. Weights of the catalogue are known, and those that were
    made into safetensors on this machine are not opened again.

    Raises:
        SourceError: other weights that may run code, or an architecture that is fetched from elsewhere.
    """
    for each in card.beside:
        refuse_code(each, cache)
    known = {file.sha256 for each in CATALOG.values() for file in each.files.values()}
    for file in card.files.values():
        wild = file.locator.lower().endswith(CODE)
        if wild and file.sha256 not in known and not converted_of(file, cache).is_file():
            raise SourceError(
                f"the skill is of {card.name}, whose weights may run code when they are opened ({file.locator}); if "
                "you trust them, use that network once by a card of your own (--source file:CARD.json), and try again."
            )
    if ":" in card.architecture:
        raise SourceError(
            f"the skill is of {card.name}, whose architecture {card.architecture!r} lies elsewhere; do not use it."
        )
