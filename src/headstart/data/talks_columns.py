"""Talks of one question and one answer, and documents with summaries, in two columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.data.talks import KINDS, Turn
from headstart.data.talks_forms import SYSTEMS, Example, Form, plain, with_system
from headstart.data.talks_records import Record, text_of
from headstart.errors import UsageError

PROMPTS = ("prompt", "question", "input", "instruction", "user")
ANSWERS = ("answer", "response", "output", "completion", "assistant", "reply")
DOCUMENTS = ("document", "text", "article", "abstract", "dialogue", "source")
SUMMARIES = ("summary", "highlights", "target", "tldr")
CALLED = {"chat": (PROMPTS, ANSWERS), "summaries": (DOCUMENTS, SUMMARIES)}
KNOWN = (*PROMPTS, *ANSWERS, *DOCUMENTS, *SUMMARIES)
_LISTED = 5  # columns that are not read


@dataclass(frozen=True)
class Wishes:
    """What the user said of the talks; None leaves it to be found.

    Attributes:
        system: the text of a system turn for every talk that has none.
        task: chat, summaries or text.
        prompt, answer: columns of what is asked and what is answered.
        group: column whose value says which talks stay together.

    Raises:
        UsageError: a task that there is not, an empty system turn, or one column for two things.
    """

    system: str | None = None
    task: str | None = None
    prompt: str | None = None
    answer: str | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in KINDS:
            raise UsageError(f"--task {self.task} is unknown; use one of {', '.join(KINDS)}.")
        if self.system is not None and not self.system.strip():
            raise UsageError("--system is blank; write what every talk is to begin with, or drop it.")
        if self.prompt is not None and self.prompt == self.answer:
            raise UsageError(f"--prompt and --answer both name '{self.prompt}'; name two columns.")
        if self.group is not None and self.group in (self.prompt, self.answer):
            option = "--prompt" if self.group == self.prompt else "--answer"
            raise UsageError(f"{option} and --group both name '{self.group}'; name two columns.")


@dataclass(frozen=True)
class Pair:
    """Two columns, and a third whose text goes below the first's where it has any."""

    asked: str
    answered: str
    below: str | None = None


def find_columns(records: Sequence[Record], common: Sequence[str], wishes: Wishes) -> Form | None:
    """The form of records with two columns, or None where they are not to be found.

    Args:
        records: all of a file.
        common: names of fields that most of them have.
        wishes: what the user said.

    Raises:
        UsageError: a named column does not exist, or several could be meant.
    """
    columns = tuple(dict.fromkeys(name for record in records for name in record))
    said = _need(columns, wishes.prompt, "--prompt"), _need(columns, wishes.answer, "--answer")
    group = find_column(columns, wishes.group)
    common = [name for name in common if name != group]
    if said[0] and said[1]:
        kind = "summaries" if said[0].lower() in DOCUMENTS and said[1].lower() in SUMMARIES else "chat"
        return _form(wishes.task or kind, Pair(said[0], said[1]), records, columns, group)
    below = None if said[0] else _below([name for name in columns if name != group])
    found: dict[str, tuple[list[str], list[str]]] = {}
    for kind, called in CALLED.items():
        asked, answered = (
            [name] if name else [column for column in common if column.lower() in names and column != below]
            for name, names in zip(said, called, strict=True)
        )
        if asked and answered:
            found[kind] = asked, answered
    kinds = [kind for kind in found if kind == wishes.task] or list(found)
    if len(kinds) > 1:
        both = " or ".join(f"'{asked[0]}' with '{answered[0]}'" for asked, answered in found.values())
        raise UsageError(
            f"{both} could be learned; say --task chat or --task summaries, or name both columns with --prompt and"
            " --answer."
        )
    if not kinds:
        return None
    pair = Pair(_only(found[kinds[0]][0], "--prompt"), _only(found[kinds[0]][1], "--answer"))
    if below and kinds[0] == "chat" and below != pair.answered:
        pair = replace(pair, below=below)
    return _form(wishes.task or kinds[0], pair, records, columns, group)


def _below(columns: Sequence[str]) -> str | None:
    """The column that goes below what is asked: Alpaca's input, or the context of a question."""
    low = {name.lower(): name for name in columns}
    return low.get("input", low.get("context")) if "instruction" in low else low.get("context")


def _only(names: list[str], option: str) -> str:
    if len(names) > 1:
        listed = ", ".join(f"'{name}'" for name in names)
        raise UsageError(f"the columns {listed} could each be meant; name one with {option}.")
    return names[0]


def find_column(columns: Sequence[str], name: str | None) -> str | None:
    """The column of this name, or the only one that is called so in other letters; None where there is none."""
    if name is None or name in columns:
        return name
    alike = [column for column in columns if column.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _need(columns: Sequence[str], name: str | None, option: str) -> str | None:
    """The column a user named, or None where none was."""
    found = find_column(columns, name)
    if name is None or found is not None:
        return found
    raise UsageError(
        f"there is no column '{name}' for {option}; the columns are {', '.join(map(plain, columns))}. Name one of them."
    )


def _form(kind: str, pair: Pair, records: Sequence[Record], columns: Sequence[str], group: str | None) -> Form:
    """The form of two columns, with what is said of it."""
    used = [name for name in (pair.asked, pair.below, pair.answered) if name]
    listed = [f"'{name}'" for name in used]
    why = f"there are the columns {', '.join(listed[:-1])} and {listed[-1]}"
    if pair.below:
        why += f", and '{pair.below}' goes below '{pair.asked}'"
    if any(isinstance(record.get(pair.answered), list) for record in records):
        why += f"; of several texts in '{pair.answered}' the first is learned"
    rest = [f"'{plain(name)}'" for name in columns if name not in (*used, *SYSTEMS, group)]
    if rest:
        shown = ", ".join(rest[:_LISTED]) + (f" and {len(rest) - _LISTED} more" if len(rest) > _LISTED else "")
        why += f"; {shown} {'is' if len(rest) == 1 else 'are'} not read"
    return Form(kind, why, lambda record: with_system(_example(pair, record, kind), record, used))


def _example(pair: Pair, record: Record, kind: str) -> Example | str:
    answer = record.get(pair.answered)
    texts = [text_of(each) for each in answer] if isinstance(answer, list) else [text_of(answer)]
    asked, below = text_of(record.get(pair.asked)), text_of(record.get(pair.below)) if pair.below else ""
    for name, text in ((pair.asked, asked), (pair.below, below), *((pair.answered, text) for text in texts)):
        if text is None:
            return f"column '{name}' holds an object, and only text can be learned"
    answers = [text for text in texts if text]
    if not asked:
        return f"column '{pair.asked}' is empty"
    if not answers:
        return f"the answer in column '{pair.answered}' is empty"
    question = f"{asked}\n\n{below}" if below else asked
    references = tuple(answers) if kind == "summaries" else ()
    return Example((Turn("user", question), Turn("assistant", answers[0])), references)
