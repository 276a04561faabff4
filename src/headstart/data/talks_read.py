"""From a path to Talks: the one place that decides how a file is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Problem
from headstart.data.encoding import is_text, read_text, want_text
from headstart.data.talks import PLAIN, Talk, Talks, Turn
from headstart.data.talks_check import fault, summary_fault
from headstart.data.talks_columns import KNOWN, Wishes, find_column, find_columns
from headstart.data.talks_files import WRITTEN, Files, find_files
from headstart.data.talks_forms import TEXT, Example, Form, find_chat, find_text, plain
from headstart.data.talks_records import Record, Records, read_records, suffix_of, text_of
from headstart.errors import DataError, UsageError

_LISTED = 8


@dataclass
class _Gathered:
    """What the files hold so far: talks, and for each its file, group and references."""

    kind: str
    talks: list[Talk] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    references: list[tuple[str, ...]] = field(default_factory=list)
    because: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_talks(
    path: str | Path,
    *,
    system: str | None = None,
    task: str | None = None,
    prompt: str | None = None,
    answer: str | None = None,
    group: str | None = None,
) -> Talks:
    """Read talks, documents with summaries, or plain texts.

    Args:
        path: a file of talks, or of texts in a column 'text' (.jsonl, .json, .csv, .tsv, .parquet), a .txt or .md
            file, or a folder of them, with or without train, val and test in the names of its files or folders.
        system: the text of a system turn for every talk that has none.
        task: chat, summaries or text; None detects it.
        prompt: column of what is asked.
        answer: column of what is answered.
        group: column, or field of the records, whose value says which talks stay together.

    Raises:
        DataError: there is nothing there, or it cannot be used as it is; the sentence says what to do.
        UsageError: an option that these files cannot follow, or doubt that an option would settle; the sentence
            names it.
    """
    path, wishes = Path(path), Wishes(system, task, prompt, answer, group)
    if not path.exists():
        raise DataError(f"'{path}' does not exist; give a file of talks, a .txt or .md file, or a folder of them.")
    try:
        files = find_files(path, task)
        found = _read_texts(files, wishes) if files.written else _read_records(files, wishes)
    except OSError as error:
        name = error.filename or path
        raise DataError(f"'{name}' cannot be opened ({error.strerror}); give a file that you may read.") from error
    if not found.talks:
        first = found.problems[0]
        raise DataError(f"no talk of '{path}' can be used; the first problem is {first.name}: {first.why}; correct it.")
    part, why = _parts(files, found)
    return Talks(
        path=path,
        kind=found.kind,
        talks=tuple(found.talks),
        part=part,
        groups=np.array([group or "" for group in found.groups]) if any(found.groups) else None,
        references=tuple(found.references) if found.kind == "summaries" else None,
        because=files.because | found.because | why,
        problems=tuple(found.problems),
    )


def _read_texts(files: Files, wishes: Wishes) -> _Gathered:
    _refuse_options(files, wishes)
    if wishes.group is not None:
        raise UsageError(f"--group needs a column, and '{files.path}' holds plain text, which has none; drop it.")
    if wishes.task not in (None, "text"):
        raise UsageError(
            f"--task {wishes.task} needs questions and answers, and '{files.path}' holds plain text; give a table or a"
            " file of talks, or drop it."
        )
    found = _Gathered("text")
    for file in files.parts:
        text, encoding = read_text(file)
        if not text.strip():
            found.problems.append(Problem(files.name(file), "the text is empty"))
            continue
        if len(files.parts) == 1:
            want_text(text, file)
        if not is_text(text):
            found.problems.append(Problem(files.name(file), "it is no text: it holds bytes that no text has"))
            continue
        if encoding != "utf-8":
            found.because["encoding"] = f"'{files.name(file)}' is not plain UTF-8 and was read as {encoding}"
        found.talks.append(Talk((Turn(PLAIN, text.strip()),), files.name(file)))
        found.files.append(file)
    found.groups, found.references = [None] * len(found.talks), [()] * len(found.talks)
    suffixes = " and ".join(sorted({suffix_of(file) for file in files.parts}))
    found.because["kind"] = f"{suffixes} files are plain text, and each is read as one"
    return found


def _refuse_options(files: Files, wishes: Wishes) -> None:
    """Raise where something was said that plain texts cannot follow."""
    for option in ("system", "prompt", "answer"):
        if vars(wishes)[option] is not None:
            raise UsageError(f"--{option} needs talks or columns, and '{files.path}' holds plain text; drop it.")


def _read_records(files: Files, wishes: Wishes) -> _Gathered:
    if wishes.task == "text":
        _refuse_options(files, wishes)
    found: _Gathered | None = None
    first = Path()
    strange: list[tuple[Path, str]] = []
    for file in files.parts:
        if len(files.parts) > 1 and not file.stat().st_size:
            strange.append((file, "the file is empty (0 bytes)"))
            continue
        named = [name for name in (wishes.prompt, wishes.answer, wishes.group) if name]
        records = read_records(file, named if wishes.prompt or wishes.answer else (*named, *KNOWN))
        form = find_form(records, wishes)
        if form is None:
            strange.append((file, _unknown(records, wishes)))
            continue
        if form.kind == "text":
            _refuse_options(files, wishes)
        if found is None:
            found, first = _Gathered(form.kind), file
        _refuse_mixture(files, (first, found.kind), (file, form.kind))
        found.because |= records.because | {"kind": form.why}
        if wishes.group is not None:
            form = _grouped(form, records, file, wishes.group)
            found.because["group"] = f"talks of the same '{wishes.group}' stay together, as --group says"
        _add(found, files, file, records, form, wishes.system)
    if found is None:
        raise UsageError(_unread(*strange[0], wishes))
    found.problems += [Problem(files.name(file), why) for file, why in strange]
    return found


def _grouped(form: Form, records: Records, file: Path, group: str) -> Form:
    """The form whose examples belong to the group that a column names, or to none where a cell is empty.

    Raises:
        UsageError: there is no such column.
    """
    columns = tuple(dict.fromkeys(name for record in records.fields for name in record))
    column = find_column(columns, group)
    if column is None and len(columns) == 1:
        raise UsageError(f"--group needs a column, and '{file}' has none beside '{plain(columns[0])}'; drop it.")
    if column is None:
        listed = _listed([plain(name) for name in columns])
        raise UsageError(f"there is no column '{group}' for --group; the columns are {listed}. Name one of them.")

    def read(record: Record) -> Example | str:
        example, cell = form.read(record), record.get(column)
        text = text_of(cell)
        return example if isinstance(example, str) else replace(example, group=str(cell) if text is None else text)

    return replace(form, read=read)


def _unknown(records: Records, wishes: Wishes) -> str:
    """Why the records of one file have no form."""
    fields = _listed([plain(name) for name in records.columns])
    if wishes.task == "text":
        return f"there is no column '{TEXT}', and the fields are {fields}"
    more = f" (--task text reads '{TEXT}' and nothing else)" if TEXT in records.columns else ""
    return f"no talks are known with the fields {fields}{more}"


def _unread(file: Path, why: str, wishes: Wishes) -> str:
    """The sentence for files of which none can be read."""
    if wishes.task == "text":
        return (
            f"'{file}' cannot be read as plain text: {why}; give {' or '.join(sorted(WRITTEN))} files or a column"
            f" '{TEXT}', or drop --task text."
        )
    return (
        f"'{file}' cannot be read as talks: {why}; give 'messages', 'conversations', 'text' alone or columns such as"
        " 'prompt' and 'answer', or name two columns with --prompt and --answer."
    )


def find_form(records: Records, wishes: Wishes) -> Form | None:
    """How the records of one file are to be read, or None where nothing shows it.

    Raises:
        UsageError: a named column does not exist, or several could be meant.
    """
    if wishes.task == "text":
        return find_text(records.fields, said=True)
    named = wishes.prompt or wishes.answer
    chat = None if named else find_chat(records.fields, records.columns)
    if chat is not None:
        return Form(wishes.task or chat.kind, chat.why, chat.read)
    columns = find_columns(records.fields, records.columns, wishes)
    if columns is None and wishes.task is None and not named:
        return find_text(records.fields, said=False)
    return columns


def _refuse_mixture(files: Files, one: tuple[Path, str], other: tuple[Path, str]) -> None:
    """Raise where files that belong together are of two kinds, or the same may lie there in two formats."""
    names = f"'{files.name(one[0])}' and '{files.name(other[0])}'"
    if one[1] != other[1]:
        raise DataError(f"{names} hold {one[1]} and {other[1]}; give one kind, or say --task to read both as one.")
    if suffix_of(one[0]) != suffix_of(other[0]):
        raise DataError(f"{names} are of two types and may hold the same talks; keep one type, or name one file.")


def _add(found: _Gathered, files: Files, file: Path, records: Records, form: Form, system: str | None) -> None:
    """Put the talks of one file to those found, and what is wrong with the others to the problems."""
    found.problems += [Problem(files.row(file, problem.name), problem.why) for problem in records.problems]
    for row, record in zip(records.names, records.fields, strict=True):
        example = form.read(record)
        why = example if isinstance(example, str) else _fault(example, form.kind)
        if isinstance(example, str) or why:
            found.problems.append(Problem(files.row(file, row), str(why)))
            continue
        turns = example.turns
        if system is not None and turns[0].role != "system":
            turns = (Turn("system", system.strip()), *turns)
        found.talks.append(Talk(turns, files.row(file, example.name or row)))
        found.files.append(file)
        found.groups.append(example.group)
        found.references.append(example.references or (turns[-1].text,))


def _fault(example: Example, kind: str) -> str | None:
    if kind == "text":
        return None
    return summary_fault(example.turns) if kind == "summaries" else fault(example.turns)


def _parts(files: Files, found: _Gathered) -> tuple[NDArray | None, dict[str, str]]:
    """The part of each talk where every file has one, and why.

    Raises:
        DataError: only some files of talks are called after a part.
    """
    used = list(dict.fromkeys(found.files))
    without = [file for file in used if not files.parts[file]]
    named = [file for file in used if files.parts[file]]
    if not named:
        return None, {}
    if without and files.written:  # a text may be about tests
        return None, {"part": f"'{files.name(without[0])}' is not called after a part, so no file counts as one"}
    if without:
        raise DataError(
            f"'{files.name(named[0])}' is called after a part and '{files.name(without[0])}' is not; begin the names of"
            " all with train, val or test, or of none."
        )
    names = _listed([files.name(file) for file in named])
    return np.array([files.parts[file] for file in found.files]), {"part": f"the files are called {names}"}


def _listed(names: tuple[str, ...] | list[str]) -> str:
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest
