"""`models`: pretrained networks by name, fetched for use without a connection, and verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources import fetch
from headstart.sources.card import Card
from headstart.sources.find import find, known
from headstart.verbs.watch import Silent, Teller


@dataclass(frozen=True)
class Listed:
    """A network and whether all its files are on disk."""

    card: Card
    on_disk: bool


@dataclass(frozen=True)
class Pulled:
    """A network whose files are on disk and as its card says.

    Attributes:
        files: role -> path.
        fetched: bytes that were not there before.
    """

    card: Card
    files: dict[str, Path]
    fetched: int


@dataclass(frozen=True)
class Verified:
    """What was found of a network's files.

    Attributes:
        missing: files that are not on disk.
        damaged: files whose bytes are not the card's.
    """

    card: Card
    missing: tuple[Path, ...]
    damaged: tuple[Path, ...]

    @property
    def whole(self) -> bool:
        """Whether the network can be used as it is."""
        return not self.missing and not self.damaged


def models(cache: Path | None = None) -> list[Listed]:
    """Networks of the catalogue, and of hubs those that were used before."""
    root = cache or cache_folder()
    return [Listed(card, fetch.on_disk(card, root)) for card in known(root)]


def pull(names: Sequence[str], cache: Path | None = None, *, teller: Teller | None = None) -> list[Pulled]:
    """Bring networks to the disk, for use without a connection; damaged files are fetched anew.

    Args:
        names: of the catalogue, or hf:OWNER/NAME, timm:NAME, file:PATH.

    Raises:
        SourceError: a name that is unknown (nothing is fetched then), or an origin that cannot be reached.
    """
    hush()
    root, teller = cache or cache_folder(), teller or Silent()
    cards = [find(name, root) for name in dict.fromkeys(names)]
    return [_pull(card, root, teller) for card in cards]


def _pull(card: Card, root: Path, teller: Teller) -> Pulled:
    wrong = fetch.verify(card, root)
    converted = [fetch.converted_of(file, root) for file in card.files.values()]
    for path in wrong:
        if path.is_file():
            done = "made anew when it is needed" if path in converted else "fetched anew"
            teller.say(f"{card.name}: {path} is damaged and {done}")
            path.unlink()
    fetched = sum(file.bytes for file in card.files.values() if fetch.place_of(file, root) in wrong)
    files = fetch.pull(card, root, teller.say)
    return Pulled(card, files, fetched)


def verify(names: Sequence[str] = (), cache: Path | None = None) -> list[Verified]:
    """Compare every byte on disk with the cards.

    Args:
        names: of networks; empty takes all of which at least one file is on disk.

    Raises:
        SourceError: a name that is unknown.
    """
    root = cache or cache_folder()
    if names:
        return [_verified(find(name, root), root) for name in dict.fromkeys(names)]
    return [_verified(card, root) for card in known(root) if _touched(card, root)]


def _touched(card: Card, root: Path) -> bool:
    return any(fetch.place_of(file, root).is_file() for file in card.files.values())


def _verified(card: Card, root: Path) -> Verified:
    wrong = fetch.verify(card, root)
    missing = tuple(path for path in wrong if not path.is_file())
    return Verified(card, missing, tuple(path for path in wrong if path.is_file()))
