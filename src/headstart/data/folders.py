"""Folders with one folder per class, with or without train, val and test folders around them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from headstart.data.dataset import PARTS, UNKNOWN, Dataset, Options, Problem
from headstart.data.encoding import read_text
from headstart.errors import DataError, UsageError

PICTURES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".gif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tga",
        ".jp2",
        ".avif",
        ".ico",
    ]
)
TEXTS = frozenset({".txt"})
TABLES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".pq"})
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx", "__pycache__"})
MASKS = frozenset(
    [
        "masks",
        "mask",
        "annotations",
        "annotation",
        "labels",
        "segmentations",
        "segmentation",
        "segmentationclass",
        "bboxes",
    ]
)
PHOTOS = frozenset(["images", "image", "imgs", "img", "jpegimages", "photos", "pictures"])


@dataclass
class Found:
    """What a walk through class folders met: (file, class, part) in a fixed order, and what was passed over.

    The names of `problems` are whole paths.
    """

    files: list[tuple[Path, str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    because: dict[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(sorted({name for _, name, _ in self.files}))


def listing(folder: Path) -> tuple[list[Path], list[Path]]:
    """Sub-folders and files of a folder, sorted, without hidden ones and what systems leave behind."""
    shown = [entry for entry in os.scandir(folder) if entry.name[0] != "." and entry.name.lower() not in IGNORED]
    shown.sort(key=lambda entry: entry.name)
    return [Path(e.path) for e in shown if e.is_dir()], [Path(e.path) for e in shown if e.is_file()]


def files_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file below a folder with its size in bytes, sorted by name within each folder, its own files first."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name[0] == "." or entry.name.lower() in IGNORED:
                continue
            if entry.is_dir():
                if not (entry.is_symlink() and folder.resolve().is_relative_to(Path(entry.path).resolve())):
                    folders.append(Path(entry.path))  # a link to a folder above would never end
            elif entry.is_file():
                yield Path(entry.path), entry.stat().st_size
    for below in folders:
        yield from files_below(below)


def find_classes(root: Path, known: tuple[str, ...] = ()) -> Found:
    """The files of class folders below `root`.

    Args:
        root: the folder a user named.
        known: classes of a finished model; a single folder of such a name is a class, not a wrapping.

    Raises:
        DataError: the folders look like masks or boxes, or like several data sets beside each other.
    """
    found = Found()
    root = _unwrap(root, found, known)
    folders, _ = listing(root)
    refuse_masks(root, folders)
    parts = _part_folders(folders)
    if parts:
        for folder, part in parts.items():
            refuse_masks(folder, listing(folder)[0])
            _walk_classes(folder, part, found)
        found.because["part"] = f"the folders are called {_join([folder.name for folder in parts])}"
        beside = [folder.name for folder in folders if folder not in parts]
        if beside:
            found.because["folder"] = f"{_join(beside)} beside them was not read"
    else:
        _refuse_nested(root, folders)
        _walk_classes(root, "", found)
    return found


def _part_folders(folders: list[Path]) -> dict[Path, str]:
    """The folders that are parts: all of them, or train and another one with class folders inside train."""
    parts = {folder: PART_NAMES[folder.name.lower()] for folder in folders if folder.name.lower() in PART_NAMES}
    if len(parts) < len(folders):
        train = [folder for folder, part in parts.items() if part == "train"]
        if len(set(parts.values())) < 2 or not any(len(listing(folder)[0]) > 1 for folder in train):
            return {}
    return parts


def _walk_classes(above: Path, part: str, found: Found) -> None:
    folders, loose = listing(above)
    why = "it lies beside the class folders, so it has no class"
    found.problems += [Problem(str(file), why) for file in loose if file.suffix.lower() in PICTURES]
    for folder in folders:
        for file, size in files_below(folder):
            if size == 0:
                found.problems.append(Problem(str(file), "the file is empty (0 bytes)"))
            else:
                found.files.append((file, folder.name, part))


def _unwrap(root: Path, found: Found, known: tuple[str, ...]) -> Path:
    """The folder inside, where a folder holds nothing but one folder of folders, as unpacked archives do."""
    while True:
        folders, files = listing(root)
        if len(folders) != 1 or any(file.suffix.lower() in PICTURES | TEXTS | TABLES for file in files):
            return root
        if not listing(folders[0])[0] or folders[0].name.lower() in PART_NAMES or folders[0].name in known:
            return root
        root = folders[0]
        found.because["folder"] = f"the only folder inside is '{root.name}', so it was read"


def refuse_masks(root: Path, folders: list[Path]) -> None:
    """Raise where folders are pictures and their masks or boxes, not classes."""
    names = {folder.name.lower(): folder.name for folder in folders}
    photos, masks = sorted(set(names) & PHOTOS), sorted(set(names) & MASKS)
    if photos and masks:
        raise DataError(
            f"'{root}' holds '{names[photos[0]]}' beside '{names[masks[0]]}', as data for detection or segmentation"
            " does, which is out of scope; give one folder per class, or a table with a column of pictures and one"
            " of labels."
        )


def _refuse_nested(root: Path, folders: list[Path]) -> None:
    inside = [folder for folder in folders if any(sub.name.lower() == "train" for sub in listing(folder)[0])]
    if inside and len(inside) == len(folders):
        names = _join([folder.name for folder in inside])
        raise DataError(f"'{root}' holds {len(inside)} data sets with train folders of their own ({names}); name one.")


def read_folder(root: Path, found: Found, options: Options) -> Dataset:
    """The Dataset of class folders.

    Raises:
        DataError: nothing readable, or fewer than two classes.
        UsageError: an option that class folders cannot follow.
    """
    _refuse_options(root, options)
    counts = Counter(file.suffix.lower() for file, _, _ in found.files)
    pictures, texts = (sum(counts[suffix] for suffix in kind) for kind in (PICTURES, TEXTS))
    suffixes = PICTURES if pictures >= texts else TEXTS
    modality = "image" if pictures >= texts else "text"
    wanted = [entry for entry in found.files if entry[0].suffix.lower() in suffixes]
    problems = [Problem(_relative(Path(problem.name), root), problem.why) for problem in found.problems]
    problems += [
        Problem(_relative(file, root), f"'{file.suffix}' is no {'picture' if modality == 'image' else 'text'} format")
        for file, _, _ in found.files
        if file.suffix.lower() not in suffixes
    ]
    if options.classes is not None:
        problems += [
            Problem(_relative(file, root), f"'{name}' {UNKNOWN}")
            for file, name, _ in wanted
            if name not in options.classes
        ]
        wanted = [entry for entry in wanted if entry[1] in options.classes]
    inputs, kept = _inputs(wanted, modality, problems, root)
    classes = _classes_of(root, {wanted[row][1] for row in kept}, options)
    place = {name: index for index, name in enumerate(classes)}
    names = tuple(_relative(wanted[row][0], root) for row in kept)
    parts = np.array([wanted[row][2] for row in kept])
    y = np.array([place[wanted[row][1]] for row in kept], dtype=np.int64)
    kind = "pictures" if modality == "image" else "texts"
    because = found.because | {
        "modality": f"{max(pictures, texts)} of {sum(counts.values())} files in the class folders are {kind}",
        "task": f"there is one folder for each of {len(classes)} classes",
        "label": "the name of a file's folder is its label",
    }
    groups = _groups(names, options.group)
    part = parts if parts.size and set(parts) <= set(PARTS) else None
    return Dataset(root, modality, "classes", inputs, names, y, classes, part, groups, None, because, tuple(problems))


def _refuse_options(root: Path, options: Options) -> None:
    if options.task not in (None, "classes"):
        raise UsageError(
            f"--task {options.task} cannot be had from class folders, which say one class for each file; give a table"
            " with a column of answers."
        )
    named = {"text": options.text, "image": options.image, "label": options.label, "time": options.time}
    for option, value in named.items():
        if value is not None:
            raise UsageError(f"--{option} names a column, and '{root}' is read as class folders; give a table instead.")


def _classes_of(root: Path, names: set[str], options: Options) -> tuple[str, ...]:
    if options.classes is not None:
        if not names:
            called = _join(list(options.classes))
            raise DataError(f"'{root}' has no pictures or texts in folders called {called}; give one for each class.")
        return options.classes
    if len(names) < (1 if options.more else 2):
        seen = f"one class ('{min(names)}')" if names else "no pictures or texts in class folders"
        raise DataError(f"'{root}' has {seen}; give at least two folders, one per class, with files inside.")
    return tuple(sorted(names))


def _inputs(
    wanted: list[tuple[Path, str, str]], modality: str, problems: list[Problem], root: Path
) -> tuple[tuple[Path | str, ...], list[int]]:
    """Paths of pictures, or the contents of text files that are not blank; and which rows were kept."""
    if modality == "image":
        return tuple(file for file, _, _ in wanted), list(range(len(wanted)))
    texts, kept = [], []
    for row, (file, _, _) in enumerate(wanted):
        try:
            text, why = read_text(file)[0].strip(), "the text is empty"
        except OSError as error:
            text, why = "", f"cannot be opened ({error.strerror})"
        if text:
            texts.append(text)
            kept.append(row)
        else:
            problems.append(Problem(_relative(file, root), why))
    return tuple(texts), kept


def _groups(names: tuple[str, ...], pattern: str | None) -> np.ndarray | None:
    if pattern is None:
        return None
    try:
        found = [re.search(pattern, name) for name in names]
    except re.error as error:
        raise UsageError(
            f"--group '{pattern}' is no regular expression ({error}); for folders it is one that finds the group in a"
            " file's path, such as '(patient[0-9]+)'."
        ) from error
    groups = [match and match.group(match.re.groups and 1) for match in found]
    absent = [name for name, group in zip(names, groups, strict=True) if group is None]
    if absent:
        raise UsageError(
            f"--group '{pattern}' is not found in {len(absent)} of {len(names)} file paths, such as '{absent[0]}';"
            " for folders it is a regular expression that matches in every path."
        )
    return np.array(groups)


def _relative(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _join(names: list[str]) -> str:
    shown = names[:5] + (["..."] if len(names) > 5 else [])
    return ", ".join(shown)
