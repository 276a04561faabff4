"""Whether data is something that a language model learns to write, or has labels to be learned."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median

from headstart.data.dataset import Options
from headstart.data.folders import PART_NAMES, PICTURES, TABLES, TEXTS, files_below, listing
from headstart.data.lines import find_pairs
from headstart.data.talks import KINDS
from headstart.data.talks_columns import ANSWERS, KNOWN, SUMMARIES, Wishes
from headstart.data.talks_files import WRITTEN, is_about, part_of
from headstart.data.talks_forms import Example, Form, holds_talks
from headstart.data.talks_read import find_form
from headstart.data.talks_records import Records, read_head, suffix_of, text_of
from headstart.errors import HeadstartError, UsageError

LOOKED_AT = 200  # records of a table, which say whether their answers are texts or labels
TABLES_OPENED = 5  # of a folder
FILES_SEEN = 1000  # of a folder in it, which say whether it holds texts or pictures
WORDS = 2  # of the median answer; a label is mostly one
LABELS = frozenset({"label", "labels"})  # beside a question and an answer they are what is to be learned
ARRAYS = frozenset({".npz", ".npy"})
UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # Thai, Japanese and Chinese have no blanks
ODD = (HeadstartError, OSError, EOFError, ValueError, RecursionError, csv.Error, zlib.error)  # of files


def language_of(path: Path, options: Options) -> str | None:
    """Why a language model should learn to write this, or None where it is read as labelled data.

    What the user said of the task or of columns decides. Else these are to be written: plain texts, lists of turns in
    a known form, and answers or summaries beside their questions or documents that are mostly different texts. Only
    the heads of files are read, and what cannot be read is None, as the reader of labelled data says what is wrong.

    Args:
        path: a file or a folder; it need not exist.
        options: task and columns are looked at.

    Returns:
        A sentence without its full stop, or None.
    """
    if options.task in KINDS:
        return f"--task {options.task} was given"
    if any(said is not None for said in (options.task, options.label, options.text, options.image, options.time)):
        return None
    try:
        return _why_folder(path) if path.is_dir() else _why_file(path)
    except ODD:
        return None


def _why_file(file: Path) -> str | None:
    suffix = suffix_of(file)
    if not file.is_file():
        return None
    if suffix in WRITTEN:
        return f"a {suffix} file is plain text"
    return _why_table(file) if suffix in TABLES else None


def _why_folder(path: Path) -> str | None:
    folders, files = listing(path)
    if tables := _tables(folders, files):
        return next((why for table in tables[:TABLES_OPENED] if (why := _why_table(table))), None)
    texts = [file for file in files if suffix_of(file) in WRITTEN]
    if find_pairs(files) or all(is_about(file) for file in texts):
        return None
    if any(suffix_of(file) in PICTURES | ARRAYS for file in files) or any(_holds_examples(below) for below in folders):
        return None
    return f"the folder holds {' and '.join(sorted({suffix_of(file) for file in texts}))} files, which are plain text"


def _tables(folders: Sequence[Path], files: Sequence[Path]) -> list[Path]:
    """Tables of a folder or of its folders of parts: those of train, else of a part, else all.

    Train decides, as those of other parts may lack the labels.
    """
    parts = {file: part_of(Path(file.name)) for file in files if suffix_of(file) in TABLES}
    if not parts:
        named = {folder: PART_NAMES[folder.name.lower()] for folder in folders if folder.name.lower() in PART_NAMES}
        parts = {
            file: part for folder, part in named.items() for file in listing(folder)[1] if suffix_of(file) in TABLES
        }
    train = [table for table, part in parts.items() if part == "train"]
    return train or [table for table, part in parts.items() if part] or list(parts)


def _holds_examples(folder: Path) -> bool:
    """Whether a folder holds texts or pictures, as one of a class does."""
    return any(suffix_of(file) in PICTURES | TEXTS | WRITTEN for file, _ in islice(files_below(folder), FILES_SEEN))


def _why_table(file: Path) -> str | None:
    """Why the records of a file are to be written, or None; a file that cannot be read leaves it to the next."""
    try:
        records = read_head(file, LOOKED_AT, KNOWN)
    except ODD:
        return None
    try:
        form = find_form(records, Wishes())
    except UsageError:  # several columns could be meant; the reader of talks asks which
        return _why_answers(records, None)
    if form is None:
        return None
    if form.kind == "text" or holds_talks(records.fields):
        return form.why
    return _why_answers(records, form)


def _why_answers(records: Records, form: Form | None) -> str | None:
    """Why the answers beside questions are texts, or None where they are labels or another column is called so."""
    if any(name.lower() in LABELS for name in records.columns):
        return None
    if form is not None:
        read = [form.read(record) for record in records.fields]
        examples = [example for example in read if isinstance(example, Example)]
        answers = [example.turns[-1].text for example in examples if example.turns]
        if examples and not answers:
            return form.why  # lists of turns, all empty; the reader of talks says what is wrong
        return f"{form.why}; the answers are mostly different texts" if _are_texts(answers) else None
    for column in records.columns:
        if column.lower() in (*ANSWERS, *SUMMARIES):
            texts = [text for record in records.fields if (text := text_of(record.get(column)))]
            if _are_texts(texts):
                return f"there are questions, and column '{column}' answers with mostly different texts"
    return None


def _are_texts(answers: Sequence[str]) -> bool:
    """Whether more than half of some answers are different, and most have two words or more."""
    return len(answers) < 2 * len(set(answers)) and median(_words(answer) for answer in answers) >= WORDS


def _words(text: str) -> int:
    """How many there are; where they have no blanks between them two signs count as one."""
    return max(len(text.split()), len(UNSPACED.findall(text)) // 2)
