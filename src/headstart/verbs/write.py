"""`generate`, `chat` and `summarize`: what a language model writes, tuned or as it came."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.core.skill import Skill
from headstart.data.encoding import decode, read_text, want_text
from headstart.errors import DataError, HeadstartError, UsageError
from headstart.sources.decoding import Decoding
from headstart.sources.digest import summarized
from headstart.sources.frames import Framed
from headstart.verbs.spoken import INSTRUCTIONS
from headstart.verbs.voice import LONGEST, Chat, Voice, open_voice
from headstart.verbs.watch import Silent, Teller

_WIDTH = 2048  # tokens of a part of a long document, where the network has not learned from shorter ones


@dataclass(frozen=True)
class Answer:
    """What was written to one prompt.

    Attributes:
        prompt: as given.
        text: without blanks around it.
        tokens: that it took.
        ended: whether the network, or a stop word, ended it rather than the length limit.
        cut: tokens of the prompt that were left out so that it fits the window.
        seconds: from the beginning of its batch until it ended.
    """

    prompt: str
    text: str
    tokens: int
    ended: bool
    cut: int
    seconds: float


@dataclass(frozen=True)
class Summary:
    """The summary of one document.

    Attributes:
        name: of the file.
        text: None where there is an error.
        parts: that were summarised apart, in the first round.
        error: why there is none.
    """

    name: str
    text: str | None
    parts: int = 0
    error: str | None = None


def generate(
    voice: str | Path | Skill | Voice,
    prompts: str | Sequence[str],
    *,
    decoding: Decoding | None = None,
    system: str | None = None,
    batch: int = 8,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> list[Answer]:
    """An answer to each prompt, in their order.

    Args:
        voice: a skill's folder, an archive of one, a network's name, or what `open_voice` gave.
        prompts: one, or several.
        decoding: None takes the likeliest words, as many as such answers mostly have.
        system: what a talk begins with; None takes that of the skill.
        batch: prompts that are answered together; which does not change an answer.

    Raises:
        DataError: an empty prompt, or one that cannot be shortened enough.
        UsageError: a length limit that leaves no room for a prompt.
    """
    open_ = voice if isinstance(voice, Voice) else open_voice(voice, cache=cache, threads=threads)
    asked, tell = ([prompts] if isinstance(prompts, str | bytes) else list(prompts or ())), teller or Silent()
    turns = [open_.turns(prompt, (), system) for prompt in asked]
    how = decoding or Decoding(max_new_tokens=open_.longest)
    written = open_.writer.write(turns, how, batch=batch, progress=lambda done, of: tell.progress("write", done, of))
    return [
        Answer(prompt, each.text.strip(), each.tokens, each.ended, each.cut, each.seconds)
        for prompt, each in zip(asked, written, strict=True)
    ]


def chat(
    voice: str | Path | Skill | Voice,
    *,
    system: str | None = None,
    decoding: Decoding | None = None,
    cache: Path | None = None,
    threads: int = 0,
) -> Chat:
    """A talk with a language model: `for piece in chat(skill).say("Hello"): print(piece, end="")`.

    Args:
        voice, system: as of `generate`.
        decoding: None draws at temperature 0.7 of the likeliest nine tenths, by seed 0.
    """
    open_ = voice if isinstance(voice, Voice) else open_voice(voice, cache=cache, threads=threads)
    return Chat(
        open_, decoding or Decoding(max_new_tokens=max(LONGEST, open_.longest), temperature=0.7, top_p=0.9), system
    )


def summarize(
    voice: str | Path | Skill | Voice,
    files: str | Path | Sequence[str | Path],
    *,
    decoding: Decoding | None = None,
    instruction: str | None = None,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> list[Summary]:
    """A summary of each document, however long: of its parts first, then of their summaries.

    What cannot be read or summarised has an `error` in its place.

    Args:
        voice: as of `generate`.
        files: of text; "-" is standard input.
        decoding: None takes the likeliest words.
        instruction: said before each part; None says nothing to a skill that learned from summaries, what its settings
            say to an encoder-decoder, else asks for one.

    Raises:
        UsageError: no files.
    """
    open_ = voice if isinstance(voice, Voice) else open_voice(voice, cache=cache, threads=threads)
    named, tell = ([files] if isinstance(files, str | Path) else list(files or ())), teller or Silent()
    if not named:
        raise UsageError("no document was given; name text files, or - for standard input.")
    told = _asks(open_) if instruction is None else instruction
    how = decoding or Decoding(max_new_tokens=open_.longest if open_.kind == "summaries" else LONGEST)
    found = []
    for at, name in enumerate(named):
        label = f"summarize {name}" if len(named) == 1 else f"summarize {name} ({at + 1} of {len(named)})"
        try:
            digest = summarized(
                open_.writer,
                _document(name),
                told,
                _width(open_, how),
                how,
                progress=lambda done, of, label=label: tell.progress(label, done, of),
            )
            found.append(Summary(str(name), digest.text, digest.parts))
        except HeadstartError as error:
            found.append(Summary(str(name), None, error=str(error)))
    return found


def _document(name: str | Path) -> str:
    if str(name) == "-":
        return decode(sys.stdin.buffer.read())[0]
    path = Path(name)
    if not path.is_file():
        raise DataError(f"'{name}' is no file; give a text file, or - for standard input.")
    try:
        text = read_text(path)[0]
    except OSError as error:
        raise DataError(f"'{name}' cannot be opened ({error.strerror}); give a file that you may read.") from None
    want_text(text, name)
    return text


def _asks(voice: Voice) -> str:
    """What is said before each part where nothing is asked for."""
    speaker = voice.language.speaker
    if voice.kind == "summaries":
        return ""
    return speaker.asks if isinstance(speaker, Framed) else INSTRUCTIONS[0]


def _width(voice: Voice, decoding: Decoding) -> int:
    """Tokens of a part and its summary together: no more than it learned from."""
    speaker, most = voice.language.speaker, voice.writer.window or _WIDTH
    learned = voice.window if voice.kind == "summaries" and voice.window else _WIDTH
    if isinstance(speaker, Framed):  # its summaries take nothing of the window of its documents
        return min(most, min(learned, speaker.side) + decoding.max_new_tokens)
    return min(most, max(learned, 2 * decoding.max_new_tokens))
