"""The forms in which people write talks: OpenAI's messages, ShareGPT's conversations, Schema-Guided Dialogue's turns.

And plain texts in a column of their own. `talks_columns` has the forms of two columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headstart.data.talks import PLAIN, Turn
from headstart.data.talks_records import Record, text_of

SYSTEMS = ("system", "system_prompt")  # fields beside a talk that hold its system turn
TEXT = "text"  # the column of plain texts
_MOST = 40  # characters of what data says that a sentence quotes
_MOST_ID = 80  # of a talk's own name


@dataclass(frozen=True)
class Example:
    """One record as it was read, before it is checked.

    Attributes:
        turns: in their order.
        references: every summary of the document, the one to learn first; empty for other kinds.
        group: what must stay together, or None.
        name: its own id, or None.
    """

    turns: tuple[Turn, ...]
    references: tuple[str, ...] = ()
    group: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Form:
    """How the records of one file are read.

    Attributes:
        kind: chat, summaries or text.
        why: one sentence of what shows the form.
        read: a record -> its example, or why it has none.
    """

    kind: str
    why: str
    read: Callable[[Record], Example | str]


@dataclass(frozen=True)
class Chat:
    """Where a form of talks keeps what.

    Attributes:
        field: the list of turns in a record.
        role, text: the fields of a turn.
        roles: word in small letters -> role.
        owner: whose form it is.
    """

    field: str
    role: str
    text: str
    roles: Mapping[str, str]
    owner: str


WORDS = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
CHATS = (
    Chat("messages", "role", "content", WORDS, "OpenAI"),
    Chat("conversations", "from", "value", WORDS, "ShareGPT"),
    Chat("conversations", "role", "content", WORDS, "ShareGPT"),
    # the system of these dialogues is the one that answers
    Chat("turns", "speaker", "utterance", {"user": "user", "system": "assistant"}, "Schema-Guided Dialogue"),
)


def plain(text: str) -> str:
    """A text with escapes such as \\x1b for signs that cannot be seen or that steer a terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown(value: object) -> str:
    """What data says, cut, as a sentence may quote it."""
    text = str(value)
    return plain(text[:_MOST]) + ("..." if len(text) > _MOST else "")


def find_chat(records: Sequence[Record], columns: Sequence[str]) -> Form | None:
    """The form of records that hold lists of turns, or None.

    Args:
        records: all of a file.
        columns: names of fields that most of them have.
    """
    likely = [chat for chat in CHATS if chat.field in columns]
    if not likely:
        return None
    chat = max(likely, key=lambda chat: sum(_holds(chat, record) for record in records))
    why = f"the records hold '{chat.field}' with '{chat.role}' and '{chat.text}', as {chat.owner} writes talks"
    return Form("chat", why, lambda record: with_system(_example(chat, record), record))


def holds_talks(records: Sequence[Record]) -> bool:
    """Whether any record holds a list of turns in a known form, and not only a field that is called so."""
    return any(_holds(chat, record) for chat in CHATS for record in records)


def find_text(records: Sequence[Record], *, said: bool) -> Form | None:
    """The form of records that are plain texts, or None.

    Args:
        records: all of a file.
        said: whether the user said that they are; then there may be other columns, as labels are.
    """
    columns = dict.fromkeys(name for record in records for name in record)
    named = [name for name in columns if name.lower() == TEXT]
    if len(named) != 1 or (len(columns) > 1 and not said):
        return None
    only = "the only column is" if len(columns) == 1 else "there is the column"
    return Form("text", f"{only} '{named[0]}', and each text of it is read as one", lambda row: _text(row, named[0]))


def _text(record: Record, column: str) -> Example | str:
    text = text_of(record.get(column))
    if text is None:
        return f"column '{column}' holds an object, and only text can be learned"
    return Example((Turn(PLAIN, text),)) if text else f"column '{column}' is empty"


def with_system(example: Example | str, record: Record, used: Sequence[str | None] = ()) -> Example | str:
    """The example with the system turn that a field beside it holds, where it has none of its own.

    Args:
        example: or why there is none, which comes back as it is.
        record: where it was read from.
        used: fields that were read already.
    """
    if isinstance(example, str) or any(turn.role == "system" for turn in example.turns):
        return example
    for name in SYSTEMS:
        value = record.get(name)
        text = text_of(value) if name not in used and isinstance(value, str) else None
        if text:
            return replace(example, turns=(Turn("system", text), *example.turns))
    return example


def _holds(chat: Chat, record: Record) -> bool:
    """Whether any turn has both fields."""
    turns = record.get(chat.field)
    return isinstance(turns, list) and any(
        isinstance(turn, Mapping) and chat.role in turn and chat.text in turn for turn in turns
    )


def _example(chat: Chat, record: Record) -> Example | str:
    turns = record.get(chat.field)
    if not isinstance(turns, list):
        return f"'{chat.field}' is no list of turns"
    said: list[Turn] = []
    told = record.get("weight") != 0  # of turns that have no weight of their own
    for place, turn in enumerate(turns, 1):
        read = _turn(chat, turn, told=told)
        if isinstance(read, str):
            return f"turn {place} {read}"
        said.append(read)
    group = record.get("services") if chat.field == "turns" else None
    name = record.get("dialogue_id")
    return Example(
        tuple(said),
        group=", ".join(str(service) for service in group) if isinstance(group, list) else None,
        name=plain(str(name)[:_MOST_ID]) if isinstance(name, str | int) else None,
    )


def _turn(chat: Chat, turn: object, *, told: bool) -> Turn | str:
    """A turn, or what is wrong with it; OpenAI marks an answer that is not to be learned with a weight of 0."""
    if not isinstance(turn, Mapping) or chat.role not in turn:
        return f"is no object with '{chat.role}' and '{chat.text}'"
    role = chat.roles.get(str(turn[chat.role]).strip().lower())
    if role is None:
        return f"is by '{shown(turn[chat.role])}', and the roles known here are {', '.join(chat.roles)}"
    text = text_of(turn.get(chat.text))
    if text is None:
        return "holds something other than text, and only text can be learned"
    weight = turn.get("weight")
    if weight is not None and weight not in (0, 1):
        return f"has the weight {shown(json.dumps(weight, default=str))}, and only 0 (not to be learned) and 1 are read"
    return Turn(role, text, told=role != "assistant" or (told if weight is None else weight != 0))
