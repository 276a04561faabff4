"""`export`: a skill's whole function for other programs, compared with PyTorch before it is kept."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headstart.core import archive
from headstart.core import skill as skills
from headstart.core.skill import Skill
from headstart.errors import EngineError, SkillError, UsageError
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources.card import Card, card_of
from headstart.sources.fetch import pull
from headstart.sources.folder import tokenizer_of
from headstart.sources.hashing import sha256_of
from headstart.sources.safe import refuse_code
from headstart.verbs.watch import Silent, Teller
from headstart.version import __version__

if TYPE_CHECKING:
    from headstart.verbs.carry import Carried
    from headstart.verbs.whole import Function

TOLERANCE = 1e-4  # of a probability; of numbers, a share of the largest
SHARE = 1e-2  # of a small probability
_SMALL = 1e-6  # below it fp32 has few digits left
FORMAT = 1
ABOUT = "export.json"
_ONNX = ("onnx", "onnxruntime")
_LABELLED = "--onnx FILE.onnx or --openvino FOLDER"
_SPOKEN = "--merged FOLDER, --adapter FOLDER or --gguf FILE.gguf"


@dataclass(frozen=True)
class Exported:
    """One form of a skill on disk.

    Attributes:
        kind: ONNX or OpenVINO.
        files: that were written, the network first.
        difference: largest from PyTorch's answers, over the samples.
        allowed: of it.
    """

    kind: str
    files: tuple[Path, ...]
    difference: float
    allowed: float


def export(
    skill: str | Path | Skill,
    *,
    onnx: str | Path | None = None,
    openvino: str | Path | None = None,
    merged: str | Path | None = None,
    adapter: str | Path | None = None,
    gguf: str | Path | None = None,
    dtype: str = "float32",
    quantise: str | None = None,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> list[Exported] | list[Carried]:
    """Write a skill for other programs: for ONNX Runtime and OpenVINO; one that writes, merged, as adapter or as GGUF.

    Of a skill with labels, the network takes `pixels` (b, s, s, 3) uint8, or `ids` and `mask` (b, t) int64, and gives
    `probabilities` (b, c) or `numbers` (b, t): normalisation, head and temperature are inside. A JSON file beside it
    says everything else that a program must know.

    Args:
        onnx: file to write, ending in .onnx; FILE.json, and for texts FILE.tokenizer.json, come beside it.
        openvino: folder to write: model.xml, model.bin, export.json, for texts tokenizer.json.
        merged, adapter, gguf, dtype, quantise: of a skill that writes; see `verbs.carry.carry`.
        threads: of the CPU for the comparison; 0 takes all.

    Raises:
        UsageError: no form was asked for, one that this skill cannot have, or a place that something else holds.
        SkillError: no skill there, one that was changed, or a disk that refuses.
        SourceError: its pretrained network cannot be had.
        EngineError: a form that cannot be made, or answers otherwise than PyTorch; nothing is written then.
    """
    hush()
    file, folder = (None if place is None else Path(place) for place in (onnx, openvino))
    spoken = {"merged": merged, "adapter": adapter, "gguf": gguf}
    _asked(file, folder, spoken)
    root, teller = cache or cache_folder(), teller or Silent()
    opened = skill if isinstance(skill, Skill) else archive.opened(skill, root)
    more = {"dtype": "" if dtype == "float32" else dtype, "quantise": quantise}
    _suits(opened, {"onnx": onnx, "openvino": openvino}, {**spoken, **more})
    if not skills.writes(opened):
        return _labelled(opened, file, folder, root, threads, teller)
    from headstart.verbs.carry import carry

    return carry(opened, **spoken, dtype=dtype, quantise=quantise, cache=root, threads=threads, teller=teller)


def _labelled(
    opened: Skill, file: Path | None, folder: Path | None, root: Path, threads: int, teller: Teller
) -> list[Exported]:
    """A skill with labels in the forms that have a place."""
    card = _card(opened)
    refuse_code(card, root)
    if file is not None:
        _need_onnx()
    pull(card, root, teller.say)
    from headstart.verbs.whole import function_of

    teller.say(f"building {card.name} with its head")
    function = function_of(opened, card, root)
    job, done = _Job(opened, card, function, root, threads), []
    if file is not None:
        teller.say(f"writing {file} and comparing it with PyTorch")
        done.append(job.onnx(file))
    if folder is not None:
        teller.say(f"writing {folder} and comparing it with PyTorch")
        done.append(job.openvino(folder))
    return done


def _asked(file: Path | None, folder: Path | None, spoken: Mapping[str, str | Path | None]) -> None:
    if file is None and folder is None and not any(spoken.values()):
        raise UsageError(
            "no form was asked for; write --onnx FILE.onnx, --openvino FOLDER, or both, and of a skill that writes "
            f"{_SPOKEN}."
        )
    if file is not None and (file.suffix.lower() != ".onnx" or file.is_dir()):
        raise UsageError(f"--onnx {file} is not a file that ends in .onnx; write for example --onnx pets.onnx.")
    if folder is not None and not _ours(folder):
        raise UsageError(f"--openvino {folder} exists and is not an earlier export; choose another, or move it away.")


def _suits(skill: Skill, labelled: Mapping[str, str | Path | None], spoken: Mapping[str, str | Path | None]) -> None:
    """Refuse the forms of the other kind of skill."""
    writes = skills.writes(skill)
    other = next((name for name, value in (labelled if writes else spoken).items() if value), None)
    if other is not None:
        does, forms = ("writes texts", _SPOKEN) if writes else ("answers with labels", _LABELLED)
        raise UsageError(f"{skill.folder} {does}, which --{other} is not for; write {forms}.")


def _ours(folder: Path) -> bool:
    """Whether the folder is free, or holds what an earlier export wrote there."""
    if not folder.exists():
        return True
    return folder.is_dir() and ((folder / ABOUT).is_file() or not any(folder.iterdir()))


def _need_onnx() -> None:
    missing = [name for name in _ONNX if find_spec(name) is None]
    if missing:
        raise EngineError(
            f"{' and '.join(missing)} must be there to write ONNX; run `pip install 'headstart[export]'`."
        )


def _card(skill: Skill) -> Card:
    lost = [name for name in ("source", "modality", "task", "classes", "taps") if name not in skill.manifest]
    if lost:
        raise SkillError(f"{skill.folder / skills.MANIFEST} lacks {', '.join(lost)}; fit again or restore it.")
    card = card_of(skill.manifest["source"])
    if card.beside:
        raise SkillError(f"{skill.folder} reads {card.name} side by side; export takes a skill of one network.")
    return card


@dataclass(frozen=True)
class _Job:
    """What both forms are made from."""

    skill: Skill
    card: Card
    function: Function
    cache: Path
    threads: int

    def onnx(self, file: Path) -> Exported:
        """One file, with the others beside it."""
        from headstart.verbs import whole

        function = self.function
        with _beside(file) as partial:
            whole.save_onnx(function, partial / file.name)
            answers = whole.run_onnx(partial / file.name, function.samples, function.output, self.threads)
            off = _compared("ONNX Runtime", function, answers)
            self._describe(partial, file.name, f"{file.name}.json", f"{file.name}.tokenizer.json", off)
            names = sorted(path.name for path in partial.iterdir())  # the network first
            file.parent.mkdir(parents=True, exist_ok=True)
            for name in reversed(names):  # the network last: when it is there, all of the export is
                (partial / name).replace(file.parent / name)
        return Exported("ONNX", tuple(file.parent / name for name in names), off, TOLERANCE)

    def openvino(self, folder: Path) -> Exported:
        """One folder, replaced whole."""
        from headstart.verbs import whole

        function = self.function
        with _beside(folder) as partial:
            new = partial / "new"
            new.mkdir()
            whole.save_openvino(function, new / "model.xml")
            answers = whole.run_openvino(new / "model.xml", function.samples, function.output, self.threads)
            off = _compared("OpenVINO", function, answers)
            self._describe(new, "model.xml", ABOUT, "tokenizer.json", off)
            names = sorted((path.name for path in new.iterdir()), reverse=True)
            names.sort(key=lambda name: not name.startswith("model"))
            folder.parent.mkdir(parents=True, exist_ok=True)
            _swap(new, folder, partial / "old")
        return Exported("OpenVINO", tuple(folder / name for name in names), off, TOLERANCE)

    def _describe(self, folder: Path, network: str, about: str, tokenizer: str, off: float) -> None:
        """Write what a program must know beside the network, and for texts the tokenizer."""
        card, said, function = self.card, self.skill.manifest, self.function
        if card.modality == "text":
            shutil.copyfile(tokenizer_of(card, self.cache), folder / tokenizer)
        value = {
            "format": FORMAT,
            "headstart": __version__,
            "skill": said.get("name", self.skill.folder.name),
            "network": network,
            "modality": card.modality,
            "task": said["task"],
            "classes": list(said["classes"]),
            "inputs": function.shapes(),
            "output": {"name": function.output, "shape": ["batch", len(said["classes"])], "dtype": "float32"},
            "preparation": _of_pictures(card) if card.modality == "image" else _of_texts(card, tokenizer),
            "source": {
                "name": card.name,
                "upstream": card.upstream,
                "trained_on": card.trained_on,
                "digest": card.digest,
            },
            "licence": {"of_the_pretrained_weights": card.licence, "asserted_by": card.asserted_by},
            "parity": {"with": "PyTorch, fp32", "largest_difference": off, "allowed": TOLERANCE},
            "sha256": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
        }
        (folder / about).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf8")


def _compared(engine: str, function: Function, answers: list[NDArray]) -> float:
    """The largest difference from PyTorch, as a probability or as a share of the largest number.

    Raises:
        EngineError: it is larger than TOLERANCE, or a small probability is off by more than SHARE of itself: where
            the samples are answered with certainty, the difference alone would say nothing.
    """
    most = share = 0.0
    for sample, got in zip(function.samples, answers, strict=True):
        want = function.answers(sample)
        if got.shape != want.shape or not np.isfinite(got).all():
            raise EngineError(
                f"{engine} gives {got.shape} where PyTorch gives {want.shape}, or values that are not finite; it was "
                "not written. Try the other form."
            )
        off = np.abs(got - want)
        if function.output == "numbers":
            off /= max(float(np.abs(want).max()), 1e-30)
        else:
            share = max(share, float((off / want)[want > _SMALL].max(initial=0)))
        most = max(most, float(off.max()))
    if most > TOLERANCE or share > SHARE:
        raise EngineError(
            f"{engine} differs from PyTorch by {most:.1e} on a sample, {share:.1e} of a probability, where "
            f"{TOLERANCE:.0e} and {SHARE:.0e} are allowed; it was not written. Try the other form, or another network."
        )
    return most


def _of_pictures(card: Card) -> dict[str, object]:
    return {
        "colours": "RGB, upright as EXIF says, transparent parts white",
        "shorter_side": int(card.size / card.crop),
        "interpolation": card.interpolation,
        "size": card.size,
        "crop": card.crop,
        "how": "scale the shorter side to `shorter_side`, cut the middle square of `size`, give bytes 0..255",
        "inside_already": {"mean": list(card.mean), "std": list(card.std)},
    }


def _of_texts(card: Card, tokenizer: str) -> dict[str, object]:
    return {
        "tokenizer": tokenizer,
        "window": card.size,
        "padding": "zeros on the right of ids, and in mask",
        "how": "ids of the tokenizer with its special tokens, at most `window`; mask is 1 where there is a token",
        "longer_texts": "headstart pools all chunks of a text under one head; here each chunk is answered by itself",
    }


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """A folder on the same disk that is gone in the end; what is whole is moved out of it.

    Raises:
        SkillError: the disk refuses.
    """
    near = next(parent for parent in place.absolute().parents if parent.is_dir())
    try:
        with tempfile.TemporaryDirectory(dir=near, prefix=f"{place.name}.", suffix=".partial") as name:
            yield Path(name)
    except OSError as error:
        raise SkillError(
            f"writing {place} failed: {error.strerror or error}; free space or choose another place. "
            "Nothing that was there before was changed."
        ) from error


def _swap(new: Path, place: Path, old: Path) -> None:
    """`new` takes the name of `place`, and what was there goes to `old`."""
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
