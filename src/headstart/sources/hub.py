"""Networks of the Hugging Face hub: `hf:OWNER/NAME` and `timm:NAME`, pinned by commit and by hash once seen."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from headstart.errors import SourceError
from headstart.quiet import hush
from headstart.sources.card import Card, File
from headstart.sources.folder import NAMES, PIECE
from headstart.sources.hashing import sha256_of

_WEIGHTS, _CONFIG, _INDEX = NAMES["weights"], NAMES["config"], NAMES["index"]


def resolve(name: str) -> Card:
    """The card of `hf:OWNER/NAME`, `hf:OWNER/NAME@REVISION` or `timm:NAME`; its files are downloaded for their hashes.

    Raises:
        SourceError: no connection, no such network, or one without safetensors.
    """
    repository, _, revision = _repository(name).partition("@")
    info = _ask(name, repository, revision or None)
    there = {sibling.rfilename for sibling in info.siblings or ()}
    if not there & {_WEIGHTS, _INDEX}:
        raise SourceError(f"{name} offers no {_WEIGHTS}, and other formats can run code; use another network.")
    if _CONFIG not in there:
        raise SourceError(f"{name} has no {_CONFIG}, so its architecture is unknown; use another network.")
    roles = roles_of(there)
    paths = {role: _download(name, repository, file, info.sha) for role, file in roles.items()}
    locators = {role: f"hf:{repository}@{info.sha}#{roles[role]}" for role in paths}
    licence = (info.card_data or {}).get("license") or "unknown"
    return card_from(name, paths, locators, str(licence), f"the model page of {repository}", repository)


def roles_of(there: Collection[str]) -> dict[str, str]:
    """Role -> name of the file, of those that a network is made of; weights in one file, or in several."""
    whole = _WEIGHTS in there
    roles = {role: file for role, file in NAMES.items() if file in there and not (whole and role == "index")}
    pieces = [] if whole else [file for file in there if file.startswith(PIECE) and file.endswith(".safetensors")]
    return roles | {file.removesuffix(".safetensors"): file for file in sorted(pieces)}


def download(locator: str) -> Path:
    """Of `hf:OWNER/NAME@COMMIT#FILE`, in the hub's own cache."""
    repository, _, rest = locator.removeprefix("hf:").partition("@")
    commit, _, file = rest.partition("#")
    return _download(locator, repository, file, commit)


def card_from(
    name: str, paths: dict[str, Path], locators: dict[str, str], licence: str, asserted_by: str, upstream: str
) -> Card:
    """The card that these files make: timm's hub format for pictures, transformers' for text.

    Raises:
        SourceError: a configuration of neither kind.
    """
    config = _read(paths["config"], name)
    files = {role: File(locators[role], sha256_of(path), path.stat().st_size) for role, path in paths.items()}
    if "pretrained_cfg" in config:
        return _picture_card(name, config, {"weights": files["weights"]}, (licence, asserted_by, upstream))
    if "model_type" not in config or "tokenizer" not in files:
        raise SourceError(
            f"{name} is neither a timm network (pretrained_cfg in config.json) nor a transformers network with a "
            "tokenizer.json; use another one."
        )
    return Card(
        name=name,
        modality="text",
        architecture=(config.get("architectures") or [config["model_type"]])[0],
        licence=licence,
        asserted_by=asserted_by,
        upstream=upstream,
        trained_on="not stated",
        size=min(int(config.get("max_position_embeddings", 512)), 512) - (2 if _offset(config) else 0),
        files=files,
    )


def _offset(config: dict[str, Any]) -> bool:
    """RoBERTa and its kin count positions from 2."""
    return config["model_type"] in ("roberta", "xlm-roberta", "camembert", "mpnet")


def _picture_card(name: str, config: dict[str, Any], files: dict[str, File], said: tuple[str, str, str]) -> Card:
    seen = config["pretrained_cfg"]
    licence, asserted_by, upstream = said
    mean, std = tuple(seen["mean"]), tuple(seen["std"])
    return Card(
        name=name,
        modality="image",
        architecture=config["architecture"],
        licence=str(seen.get("license") or licence),
        asserted_by=asserted_by,
        upstream=upstream,
        trained_on=str(seen.get("tag") or "not stated"),
        size=int(seen["input_size"][-1]),
        files=files,
        mean=mean,  # pyright: ignore[reportArgumentType]
        std=std,  # pyright: ignore[reportArgumentType]
        crop=float(seen.get("crop_pct", 0.875)),
        interpolation=seen.get("interpolation", "bicubic"),
    )


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf8"))
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise SourceError(f"config.json of {name} is not a JSON object; get it anew or use another network.")
    return config


def _repository(name: str) -> str:
    if name.startswith("hf:"):
        repository = name.removeprefix("hf:")
        if repository.count("/") != 1:
            raise SourceError(f"{name!r} is not a hub name; write hf:OWNER/NAME or hf:OWNER/NAME@REVISION.")
        return repository
    hush()
    import timm

    wanted = name.removeprefix("timm:")
    found = timm.get_pretrained_cfg(wanted) if timm.is_model(wanted.split(".")[0]) else None
    if found is None or not found.hf_hub_id:
        near = timm.list_models(f"*{wanted.split('.')[0][:8]}*", pretrained=True)[:5]
        raise SourceError(f"timm has no pretrained {wanted!r}; near names are {', '.join(near) or 'none'}.")
    return found.hf_hub_id.rstrip("/") if wanted in found.hf_hub_id else f"timm/{found.architecture}.{found.tag}"


def _ask(name: str, repository: str, revision: str | None) -> Any:
    hush()
    from huggingface_hub import HfApi

    try:
        return HfApi().model_info(repository, revision=revision)
    except Exception as error:
        raise _unreached(name, error) from error


def _download(name: str, repository: str, file: str, revision: str | None) -> Path:
    hush()
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except Exception as error:
        raise _unreached(name, error) from error


def _unreached(name: str, error: Exception) -> SourceError:
    # the hub's client raises errors of several libraries, some of them for one cause
    why = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
    return SourceError(
        f"{name} could not be had from the Hugging Face hub ({why}); check the name and the connection, "
        "or use a network that is on disk: `headstart models` lists them."
    )
