"""Commands for what is on disk: pretrained networks and the cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.options import Cache, Json, size
from headstart.cli.show import show, table, wrapped
from headstart.cli.tell import Console
from headstart.units import human

if TYPE_CHECKING:
    from headstart.sources.card import Card

models = typer.Typer(rich_markup_mode=None, help="Pretrained networks: list, pull for offline use, verify.")
cache = typer.Typer(rich_markup_mode=None, help="What is kept on disk to save time: show, verify, clear, trim.")

Names = Annotated[list[str], typer.Argument(help="As `headstart models` lists them, hf:OWNER/NAME or timm:NAME.")]
Some = Annotated[list[str] | None, typer.Argument(help="Networks; none takes all that are on disk.")]
Part = Annotated[str, typer.Argument(help="store, networks, runs, unpacked, files or all.")]
Cap = Annotated[str, typer.Option("--cap", help="Most that the store may hold, such as 5GB.")]


class Place:
    """Options that stand before the subcommand count for it too: `headstart models --json pull NAME`."""

    def __init__(self, context: typer.Context, folder: Path | None, as_json: bool) -> None:
        above: Mapping[str, object] = context.parent.params if context.parent else {}
        before = above.get("folder")
        self.folder = folder or (before if isinstance(before, Path) else None)
        self.as_json = as_json or above.get("as_json") is True


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, folder: Cache = None, as_json: Json = False) -> None:
    """Pretrained networks: name, size, licence and whether they are on disk."""
    if context.invoked_subcommand is not None:
        return
    from headstart.verbs.models import models as verb

    listed = verb(folder)

    def words() -> str:
        rows = [("name", "reads", "size", "on disk", "licence")]
        rows += [(m.card.name, m.card.modality, human(m.card.bytes), _yes(m.on_disk), m.card.licence) for m in listed]
        head, *lines = table(rows, right=(2,))
        out = [head]
        for line, each in zip(lines, listed, strict=True):
            out += [line, *wrapped(f"learned from {each.card.trained_on}", indent=4)]
            out += wrapped(f"licence said by {each.card.asserted_by}", indent=4)
        return "\n".join([*out, "", *wrapped("Others: hf:OWNER/NAME, timm:NAME or file:FOLDER.")])

    show({"models": [{**_plain(m.card), "on_disk": m.on_disk} for m in listed]}, as_json, words)


@models.command("pull")
def pull_models(context: typer.Context, names: Names, folder: Cache = None, as_json: Json = False) -> None:
    """Fetch networks, for use without a connection.

    What is on disk is verified, and fetched anew where it is damaged.
    """
    place = Place(context, folder, as_json)
    from headstart.verbs.models import pull as verb

    with Console() as teller:
        pulled = verb(names, place.folder, teller=teller)

    def words() -> str:
        return "\n".join(
            f"{p.card.name}: {human(p.card.bytes)} on disk{'' if p.fetched else ' already'}, {p.card.licence}"
            for p in pulled
        )

    def told(card: Card, files: Mapping[str, Path], fetched: int) -> dict:
        return {**_plain(card), "paths": {role: str(path) for role, path in files.items()}, "fetched": fetched}

    show({"pulled": [told(p.card, p.files, p.fetched) for p in pulled]}, place.as_json, words)


@models.command("verify")
def verify_models(context: typer.Context, names: Some = None, folder: Cache = None, as_json: Json = False) -> None:
    """Compare every byte on disk with the cards. Exit code 1 when a file is damaged or missing."""
    place = Place(context, folder, as_json)
    from headstart.verbs.models import verify as verb

    seen = verb(names or (), place.folder)

    def words() -> str:
        lines = [] if seen else ["no network is on disk"]
        for each in seen:
            lines.append(f"{each.card.name}: {'whole' if each.whole else 'not whole'}")
            lines += [f"  damaged  {path}" for path in each.damaged]
            lines += [f"  missing  {path}" for path in each.missing]
            if not each.whole:
                lines.append(f"  `headstart models pull {each.card.name}` makes it whole")
        return "\n".join(lines)

    told = [
        {
            **_plain(v.card),
            "whole": v.whole,
            "damaged": [str(path) for path in v.damaged],
            "missing": [str(path) for path in v.missing],
        }
        for v in seen
    ]
    show({"verified": told}, place.as_json, words)
    if not all(each.whole for each in seen):
        raise typer.Exit(1)


@cache.callback(invoke_without_command=True)
def show_cache(context: typer.Context, folder: Cache = None, as_json: Json = False) -> None:
    """What is kept on disk to save time, with its size."""
    if context.invoked_subcommand is not None:
        return
    from headstart.places import cache_cap, cache_folder
    from headstart.verbs.cache import show as verb

    parts, root, cap = verb(folder), folder or cache_folder(), cache_cap()
    total = sum(part.bytes for part in parts)

    def words() -> str:
        rows = [(part.name, human(part.bytes), f"{part.things:,}", part.what) for part in parts]
        ending = f"store and networks are each kept below {human(cap)}; HEADSTART_CACHE_CAP sets that"
        return "\n".join([str(root), *table([*rows, ("all", human(total), "", "")], right=(1, 2)), ending])

    show({"folder": str(root), "bytes": total, "cap": cap, "parts": [asdict(part) for part in parts]}, as_json, words)


@cache.command("verify")
def verify_cache(context: typer.Context, folder: Cache = None, as_json: Json = False) -> None:
    """Compare every file with the hash it was written with. Exit code 1 when one is damaged."""
    place = Place(context, folder, as_json)
    from headstart.verbs.cache import verify as verb

    damaged = verb(place.folder)

    def words() -> str:
        if not damaged:
            return "every file is as it was written"
        ending = "`headstart cache clear store` or `files` removes them; they are made or fetched again"
        return "\n".join([*(f"damaged  {path}" for path in damaged), ending])

    show({"damaged": [str(path) for path in damaged]}, place.as_json, words)
    if damaged:
        raise typer.Exit(1)


@cache.command("clear")
def clear_cache(context: typer.Context, part: Part, folder: Cache = None, as_json: Json = False) -> None:
    """Remove a part of the cache.

    It is made or fetched again when it is needed.
    """
    place = Place(context, folder, as_json)
    from headstart.verbs.cache import clear as verb

    freed = verb(part, place.folder)
    show({"part": part, "freed": freed}, place.as_json, lambda: f"{human(freed)} freed")


@cache.command("trim")
def trim_cache(context: typer.Context, cap: Cap, folder: Cache = None, as_json: Json = False) -> None:
    """Keep the store below --cap bytes.

    The longest unused outputs of held blocks go first; what was used last stays, whatever its size.
    """
    place, most = Place(context, folder, as_json), size(cap)
    from headstart.verbs.cache import trim as verb

    freed = verb(most, place.folder)
    show({"cap": most, "freed": freed}, place.as_json, lambda: f"{human(freed)} freed")


def _plain(card: Card) -> dict:
    return {**asdict(card), "bytes": card.bytes}


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
