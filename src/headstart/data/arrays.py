"""Pictures and labels in an .npz file, the MedMNIST form included; nothing in it is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import PARTS, Dataset, Options, Problem
from headstart.data.encoding import mended
from headstart.data.folders import PART_NAMES
from headstart.data.labels import MOST_INTEGER_CLASSES, Targets, in_order, targets
from headstart.data.pixels import to_bytes
from headstart.errors import DataError, UsageError

IMAGE_NAMES = ("images", "x", "data", "imgs", "image", "pixels", "inputs", "texts", "text")
LABEL_NAMES = ("labels", "y", "label", "target", "targets", "classes")

Arrays = dict[str, NDArray]


def read_arrays(path: Path, options: Options) -> Dataset:
    """The Dataset of an .npz file with pictures and labels.

    Raises:
        DataError: pickled arrays, unknown names, arrays that are no pictures, or lengths that differ.
        UsageError: a task that the labels cannot be.
    """
    arrays = _open(path)
    parts = _pairs(path, arrays)
    names = [f"{f'{part} ' if part else ''}row {row + 1}" for part, (x, _) in parts.items() for row in range(len(x))]
    because: dict[str, str] = {}
    modality, inputs = _inputs([x for x, _ in parts.values()], path, because)
    because["modality"] = f"the arrays of '{path.name}' hold {'texts' if modality == 'text' else 'pictures'}"
    if "" not in parts:
        because["part"] = f"the names of the arrays begin with {', '.join(parts)}"
    found = _targets(np.concatenate([_flat(y) for _, y in parts.values()]), options)
    blank = {row for row, x in enumerate(inputs) if isinstance(x, str) and not x}
    kept = [row for row in found.kept.tolist() if row not in blank]
    at = np.isin(found.kept, kept)
    given = np.concatenate([np.full(len(x), part) for part, (x, _) in parts.items()])
    left_out = found.left_out | dict.fromkeys(sorted(blank), "the text is empty")
    return Dataset(
        path=path,
        modality=modality,
        task=found.task,
        inputs=tuple(inputs[row] for row in kept),
        names=tuple(names[row] for row in kept),
        y=found.y[at],
        classes=found.classes,
        part=given[kept] if set(parts) <= set(PARTS) else None,
        groups=None,
        times=None,
        because=because | {"task": found.why, "label": "the file holds labels beside the pictures"},
        problems=tuple(Problem(names[row], why) for row, why in sorted(left_out.items())),
    )


def read_pictures(path: Path) -> list[NDArray | str]:
    """The pictures (or texts) of an .npz file, whatever labels are beside them.

    Raises:
        DataError: as `read_arrays`.
    """
    arrays = _open(path)
    known = {name: array for name, array in arrays.items() if _kind(name)[1] in IMAGE_NAMES}
    chosen = known or (arrays if len(arrays) == 1 else {})
    if not chosen:
        raise DataError(f"'{path}' holds {', '.join(arrays) or 'nothing'}; call the array of pictures images.")
    return _inputs(list(chosen.values()), path, {})[1]


def _inputs(arrays: list[NDArray], path: Path, because: dict[str, str]) -> tuple[str, list[NDArray | str]]:
    """The modality of all arrays together, and their pictures or texts one after the other."""
    if all(array.dtype.kind == "U" and array.ndim == 1 for array in arrays):
        return "text", [mended(str(text)).strip() for array in arrays for text in array]
    return "image", [picture for pictures in as_pictures(arrays, path, because) for picture in pictures]


def _kind(name: str) -> tuple[str, str]:
    """Part ("" where none is said) and the rest of an array's name."""
    low = name.lower()
    for word, part in PART_NAMES.items():
        if low.startswith(f"{word}_") or low.endswith(f"_{word}"):
            return part, low.removeprefix(f"{word}_").removesuffix(f"_{word}")
    return "", low


def _open(path: Path) -> Arrays:
    if not zipfile.is_zipfile(path):
        raise DataError(f"'{path}' is no .npz file, whatever its name says; write one with numpy.savez.")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except ValueError as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise DataError(
                f"'{path}' holds pickled objects, which can run code when they are read; save plain number arrays."
            ) from error
        raise DataError(f"'{path}' cannot be read as .npz ({error}); write it again.") from error
    except (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"'{path}' cannot be read as .npz ({error}); write it again.") from error


def _pairs(path: Path, arrays: Arrays) -> dict[str, tuple[NDArray, NDArray]]:
    """Part ("" where none is given) -> pictures and labels."""
    found: dict[str, dict[str, NDArray]] = {}
    for name, array in arrays.items():
        part, rest = _kind(name)
        for kind, known in (("x", IMAGE_NAMES), ("y", LABEL_NAMES)):
            if rest in known:
                found.setdefault(part, {})[kind] = array
    pairs = {part: (kinds["x"], kinds["y"]) for part, kinds in found.items() if len(kinds) == 2}
    if not pairs or ("" in pairs and len(pairs) > 1):
        raise DataError(
            f"'{path}' holds {', '.join(arrays) or 'nothing'}; call the arrays images and labels, or train_images,"
            " train_labels, val_images, ... for given parts."
        )
    for part, (x, y) in pairs.items():
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or not len(x):
            lengths = f"shapes {x.shape} and {y.shape}"
            raise DataError(
                f"the {part or 'image'} arrays of '{path}' have {lengths}; give one label for each picture."
            )
    return {part: pairs[part] for part in ("train", "val", "test", "") if part in pairs}


def as_pictures(arrays: list[NDArray], path: Path, because: dict[str, str]) -> list[NDArray[np.uint8]]:
    """Arrays of pictures as (n, h, w) or (n, h, w, 3) uint8; notes what was done in `because`.

    Floats from 0 to 1 are taken as parts of 255. Other pictures that are not bytes are scaled by the range of all
    arrays together: given parts of one file must not be scaled each in its own way.

    Raises:
        DataError: a shape or a type that is no picture.
    """
    shaped = [_shaped(x, path, because) for x in arrays]
    if all(x.dtype == np.uint8 for x in shaped):
        return [_without_alpha(x, because) for x in shaped]
    low = min(float(_finite(x).min()) for x in shaped)
    high = max(float(_finite(x).max()) for x in shaped)
    types = ", ".join(sorted({str(x.dtype) for x in shaped}))
    if low >= 0 and 0.5 <= high <= 1 and all(x.dtype.kind in "bf" for x in shaped):
        low, high = 0.0, 1.0
    because["range"] = f"the pictures are {types} and {low:g}..{high:g} was scaled to 0..255"
    if low >= 0 and 1 < high <= 255:
        because["range"] = f"the pictures are {types} and were rounded to 0..255"
    # one picture at a time: the steps between take eight times the memory of what they give
    scaled = [np.stack([to_bytes(picture, (low, high)) for picture in x]) for x in shaped]
    return [_without_alpha(x, because) for x in scaled]


def _shaped(x: NDArray, path: Path, because: dict[str, str]) -> NDArray:
    if x.ndim == 2 and int(x.shape[1] ** 0.5) ** 2 == x.shape[1]:
        side = int(x.shape[1] ** 0.5)
        because["shape"] = f"rows of {x.shape[1]} numbers were taken as {side} x {side} pictures"
        x = x.reshape(len(x), side, side)
    if x.ndim == 4 and x.shape[1] in (1, 3, 4) and x.shape[3] not in (1, 3, 4):
        because["shape"] = "the colours come before the rows and were moved behind the columns"
        x = np.moveaxis(x, 1, 3)
    if x.ndim == 4 and x.shape[3] == 1:
        x = x[..., 0]
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (3, 4)) or min(x.shape) < 1:
        raise DataError(
            f"the pictures in '{path}' have the shape {x.shape}; give (n, height, width) or (n, height, width, 3)."
        )
    if x.dtype.kind not in "uifb":
        raise DataError(f"the pictures in '{path}' are of type {x.dtype}; give uint8, uint16 or floats.")
    return x


def _finite(x: NDArray) -> NDArray:
    """Its finite values; a 0 where there are none."""
    finite = x[np.isfinite(x)]
    return finite if finite.size else np.zeros(1)


def _without_alpha(x: NDArray[np.uint8], because: dict[str, str]) -> NDArray[np.uint8]:
    if x.ndim == 3 or x.shape[3] == 3:
        return x
    clear = x[..., 3:].astype(np.float32) / 255
    because["alpha"] = "transparent parts were laid over white"
    return np.round(x[..., :3] * clear + 255 * (1 - clear)).astype(np.uint8)


def _flat(y: NDArray) -> NDArray:
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _targets(y: NDArray, options: Options) -> Targets:
    """Targets of an array: one column as in a table, several as labels (only 0 and 1) or numbers.

    Whole numbers that are exactly 0..c-1 in an array are classes, however many.
    """
    if y.ndim > 2 or y.dtype.kind not in "uifbUS":
        raise DataError(
            f"the labels have the shape {y.shape} and type {y.dtype}; give (n,) or (n, c) numbers or names."
        )
    if y.ndim == 2:
        return _several(y, options)
    task = options.task
    if task is None and y.dtype.kind in "ui" and (y.max() >= MOST_INTEGER_CLASSES):
        values = np.unique(y)
        if values[0] == 0 and values[-1] == len(values) - 1 and len(values) <= len(y) / 2:
            found = targets("labels", y.tolist(), task="classes", known=options.classes)
            return Targets(
                "classes",
                found.y,
                found.classes,
                found.kept,
                found.left_out,
                f"the labels are the whole numbers 0 to {len(values) - 1}",
            )
    cells = [cell.decode("utf8", "replace") if isinstance(cell, bytes) else cell for cell in y.tolist()]
    return targets("labels", cells, task=task, known=options.classes, more=options.more)


def _several(y: NDArray, options: Options) -> Targets:
    if y.dtype.kind in "US":
        raise DataError(f"the labels have the shape {y.shape} and hold names; give one name for each, or 0 and 1.")
    names = options.classes or in_order({str(column) for column in range(y.shape[1])})
    finite = np.isfinite(y.astype(np.float64)).all(axis=1)
    kept = np.flatnonzero(finite)
    left_out = {int(row): "no answer among its labels" for row in np.flatnonzero(~finite)}
    if not len(kept) or len(names) != y.shape[1]:
        wanted = "a number in each column of some rows" if not len(kept) else f"{len(names)} columns, as the model has"
        raise DataError(f"the labels of shape {y.shape} cannot be used; give {wanted}.")
    y = y[kept].astype(np.float64)
    binary = bool(np.isin(y, (0, 1)).all())
    if options.task == "classes" or (options.task is None and binary and (y.sum(axis=1) == 1).all()):
        if not (y.sum(axis=1) == 1).all():
            raise UsageError(
                "rows of labels hold several 1 or none where one class is needed; --task labels learns them."
            )
        why = f"each row of the {y.shape[1]} label columns has exactly one 1"
        return Targets("classes", y.argmax(axis=1).astype(np.int64), names, kept, left_out, why)
    if binary and options.task != "numbers":
        return Targets(
            "labels", y.astype(np.float32), names, kept, left_out, f"{y.shape[1]} label columns hold 0 and 1"
        )
    if options.task == "labels":
        raise UsageError("labels hold more than 0 and 1; --task numbers learns them.")
    return Targets("numbers", y, names, kept, left_out, f"{y.shape[1]} columns hold numbers")
