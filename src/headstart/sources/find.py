"""From what a user types to a card."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

from headstart.core import skill as skills
from headstart.core.archive import opened
from headstart.core.skill import Skill
from headstart.errors import SourceError
from headstart.places import skills_folder
from headstart.sources.card import BESIDE, TAIL, Card, File, card_of, side_by_side
from headstart.sources.catalog import CATALOG
from headstart.sources.fetch import on_disk
from headstart.sources.folder import GGUF
from headstart.sources.hashing import sha256_of
from headstart.sources.safe import refuse_code

CARDS = "cards"
HUBS = ("hf:", "timm:")
SKILL = "skill:"


def find(name: str, cache: Path) -> Card:
    """The card of a network.

    Args:
        name: of the catalogue, `hf:OWNER/NAME`, `timm:NAME`, `skill:PATH` of an earlier skill, or `file:PATH` of a
            folder with config.json and model.safetensors, of a GGUF file, or of a card in JSON; two or three of these
            with + between them stand side by side.
        cache: cards of hubs are kept there, so that what is on disk works without a connection.

    Raises:
        SourceError: no such name (the message lists near ones), or a hub that cannot be reached.
    """
    if name in CATALOG:
        return CATALOG[name]
    if BESIDE in name and not _on_this_machine(name):
        parts = [part.strip() for part in name.split(BESIDE)]
        if "" in parts:
            raise SourceError(
                f"{name!r} lacks a name beside its {BESIDE}; write it as in efficientnet-lite0{BESIDE}hf:a/b."
            )
        return side_by_side([find(part, cache) for part in parts])
    if name.startswith("file:"):
        return _local(Path(name.removeprefix("file:")).expanduser(), name)
    if name.startswith(SKILL):
        card = of_skill(opened(skill_folder(name.removeprefix(SKILL)), cache), name)
        refuse_code(card, cache)
        return card
    if name.startswith(HUBS):
        return _from_hub(name, cache)
    near = difflib.get_close_matches(name.lower(), CATALOG, n=3, cutoff=0.4) or sorted(CATALOG)
    raise SourceError(
        f"{name!r} is not in the catalogue; did you mean {' or '.join(near)}? "
        "Other networks are named hf:OWNER/NAME, timm:NAME, file:PATH or skill:PATH."
    )


def _on_this_machine(name: str) -> bool:
    """Whether the whole name is a path, which may have a + in it."""
    scheme, _, path = name.partition(":")
    return f"{scheme}:" in ("file:", SKILL) and Path(path).expanduser().exists()


def skill_folder(name: str) -> Path:
    """The folder of a skill: a path, with or without its ending, else a name in the user's folder of skills.

    What is none is given back as it is, an archive of a skill among it.
    """
    given = Path(name).expanduser()
    tried = [folder / f"{given}{ending}" for folder in (Path(), skills_folder()) for ending in ("", ".skill")]
    return next((path for path in tried if (path / skills.MANIFEST).is_file()), given)


def of_skill(skill: Skill, name: str) -> Card:
    """The card of a skill as a source: its network, with the blocks that it learned laid over.

    A skill that learned a head alone is the network that it was made from.
    """
    base = card_of(skill.manifest["source"])
    if not any(tensor.startswith(skills.TAIL) for tensor in skill.arrays):
        return replace(base, name=name)
    delta = skill.folder.absolute() / skills.DELTA
    tail = File(f"file:{delta}", skill.manifest["files"][skills.DELTA], delta.stat().st_size)
    role = f"{TAIL}{sum(role.startswith(TAIL) for role in base.files) + 1}"
    learned = f"{base.trained_on}; then the data of the skill {skill.manifest['name']}"
    return replace(base, name=name, trained_on=learned, files={**base.files, role: tail})


def known(cache: Path) -> list[Card]:
    """Cards of the catalogue, and of hubs' networks that were used before."""
    kept = [card_of(json.loads(path.read_text("utf8"))) for path in sorted((cache / CARDS).glob("*.json"))]
    return [*CATALOG.values(), *kept]


def _from_hub(name: str, cache: Path) -> Card:
    place = cache / CARDS / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    if place.is_file():
        return card_of(json.loads(place.read_text("utf8")))
    from headstart.sources.hub import resolve

    try:
        card = resolve(name)
    except SourceError as error:
        here = [card.name for card in known(cache) if on_disk(card, cache)]
        raise SourceError(f"{error} On disk: {', '.join(here) or 'none'}.") from error
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(asdict(card), indent=1), "utf8")
    return card


def _local(path: Path, name: str) -> Card:
    if path.suffix in (".pth", ".pt", ".bin", ".ckpt", ".pkl"):
        raise SourceError(f"{path} may run code when it is opened; convert it to safetensors, or pin it in a card.")
    if path.suffix == ".json" and path.is_file():
        return card_of(_json(path))
    if path.suffix.lower() == ".gguf" and path.is_file():
        return _gguf(path, name)
    from headstart.sources.hub import card_from, roles_of

    there = [file.name for file in path.iterdir() if file.is_file()] if path.is_dir() else []
    paths = {role: path / file for role, file in roles_of(there).items()}
    if "config" not in paths or not {"weights", "index"} & set(paths):
        raise SourceError(f"{path} is not a network; give a folder with model.safetensors and config.json, or a .gguf.")
    locators = {role: f"file:{place.absolute()}" for role, place in paths.items()}
    return card_from(name, paths, locators, "not stated", "nobody", str(path))


def _gguf(path: Path, name: str) -> Card:
    from headstart.sources.gguf_header import header_of

    header = header_of(path)
    said = {key: str(header.values.get(f"general.{key}") or "") for key in ("license", "name")}
    return Card(
        name=name,
        modality="text",
        architecture=f"{header.architecture.capitalize()}ForCausalLM",
        licence=said["license"] or "not stated",
        asserted_by="the file itself" if said["license"] else "nobody",
        upstream=said["name"] or str(path),
        trained_on="not stated",
        size=512,
        files={GGUF: File(f"file:{path.absolute()}", sha256_of(path), path.stat().st_size)},
    )


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf8"))
    except ValueError:
        raise SourceError(f"{path} is not JSON; write a card as `headstart models --json` shows.") from None
