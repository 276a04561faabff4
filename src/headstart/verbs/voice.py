"""`generate`, `chat` and `summarize`: a language model that answers in words, tuned or as it came."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.core import archive
from headstart.core.skill import MANIFEST, Skill
from headstart.data.dataset import WRITES
from headstart.data.encoding import mended, read_text, want_text
from headstart.data.talks import PLAIN, Turn
from headstart.errors import DataError, HeadstartError, SkillError, UsageError
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources.card import Card, card_of
from headstart.sources.catalog import CATALOG
from headstart.sources.decoding import Decoding
from headstart.sources.digest import summarized
from headstart.sources.find import HUBS, SKILL, find, skill_folder
from headstart.sources.frames import Framed
from headstart.sources.language import Language, open_language
from headstart.sources.load import LORA_A, LORA_B, lay_over
from headstart.sources.safe import refuse_code
from headstart.sources.writer import Writer
from headstart.verbs.spoken import INSTRUCTIONS
from headstart.verbs.watch import Silent, Teller

LANGUAGE = "language"  # modality of skills that write
_WIDTH = 2048  # tokens of a part of a long document, where the network has not learned from shorter ones
_LONGEST = 256  # tokens of an answer where nothing is said


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


@dataclass(frozen=True, eq=False)
class Voice:
    """A language model that is loaded and ready.

    Attributes:
        name: of the skill or the network.
        language: the network, with what the skill learned laid over it.
        kind: chat, summaries or text: what it learned to write; chat for a network as it came, text for a decoder
            that has no chat template.
        system: what its talks begin with; None is nothing.
        longest: tokens of an answer where nothing is said.
        window: tokens that it learned from at a time; None for a network as it came.
    """

    name: str
    language: Language
    kind: str
    system: str | None
    longest: int
    window: int | None

    @property
    def writer(self) -> Writer:
        """What writes."""
        return Writer(self.language.network, self.language.speaker)

    def turns(self, prompt: str, history: Sequence[Turn] = (), system: str | None = None) -> tuple[Turn, ...]:
        """A prompt as it was learned: behind the system's words and what was said before.

        Raises:
            DataError: no prompt.
        """
        if not isinstance(prompt, str):
            raise UsageError(f"a prompt is {prompt!r}; give a text.")
        if not prompt.strip():
            raise DataError("the prompt is empty; give one with something to answer.")
        prompt = mended(prompt)
        if self.kind == PLAIN:
            return (Turn(PLAIN, prompt.rstrip("\n")),)
        first = self.system if system is None else system
        return (*((Turn("system", first),) if first else ()), *history, Turn("user", prompt.strip()))


@dataclass(eq=False)
class Chat:
    """A talk that goes on.

    Attributes:
        voice: that answers.
        decoding: of the answers.
        system: what the talk begins with; None takes the voice's own.
        history: what was said so far.
    """

    voice: Voice
    decoding: Decoding
    system: str | None = None
    history: list[Turn] = field(default_factory=list)

    def say(self, text: str) -> Generator[str, None, None]:
        """The answer, in pieces as they come; it joins the history when it is over, or broken off.

        What no longer fits the window is left out, the oldest first.

        Raises:
            DataError: no text.
        """
        turns, said = self.voice.turns(text, self.history, self.system), ""
        pieces = self.voice.writer.stream(turns, self.decoding)
        try:
            for piece in pieces:
                said += piece
                yield piece
        finally:
            pieces.close()
            if said.strip():  # a turn without an answer would put the roles out of order
                self.history += [turns[-1], Turn("assistant", said.strip())]


def open_voice(name: str | Path | Skill, *, cache: Path | None = None, threads: int = 0) -> Voice:
    """A language model ready to answer.

    Args:
        name: of a skill's folder, an archive of one, or a network as `headstart models` lists it.
        threads: of the CPU; 0 takes all.

    Raises:
        SkillError: no skill there, or one that was changed.
        UsageError: a skill that answers with labels.
        SourceError: a network that cannot be had, or writes nothing.
    """
    hush(threads)
    root = cache or cache_folder()
    if not isinstance(name, Skill) and _is_network(str(name)):
        card = find(str(name), root)
        return _as_it_came(str(name), card, open_language(card, root, cuts=()), threads)
    skill = name if isinstance(name, Skill) else archive.opened(skill_folder(str(name)), root)
    said = skill.manifest
    if said.get("modality") != LANGUAGE:
        raise UsageError(f"{skill.folder} answers with labels and writes nothing; use `headstart predict`.")
    _whole(skill)
    card = card_of(said["source"])
    refuse_code(card, root)
    language = open_language(card, root, cuts=())
    lay_over(language.stack, skill.arrays, card.name)
    _limit(threads)
    return Voice(said["name"], language, said["kind"], said["system"], said["max_new_tokens"], said["window"])


def _whole(skill: Skill) -> None:
    """Refuse a manifest that lacks what an answer needs, and adapters of which a half is missing."""
    said = skill.manifest
    rules = {
        "name": isinstance(said.get("name"), str),
        "kind": said.get("kind") in WRITES,
        "system": said.get("system", 0) is None or isinstance(said.get("system"), str),
        "source": isinstance(said.get("source"), dict) and isinstance(said["source"].get("architecture"), str),
        **{name: type(said.get(name)) is int and said[name] > 0 for name in ("max_new_tokens", "window")},
    }
    wrong = next((name for name, holds in rules.items() if not holds), None)
    if wrong is not None:
        raise SkillError(
            f"{skill.folder / MANIFEST} says no {wrong} that can be used ({said.get(wrong)!r:.40}); fit again or "
            "restore it."
        )
    halves = [{name.removesuffix(end) for name in skill.arrays if name.endswith(end)} for end in (LORA_A, LORA_B)]
    if not skill.arrays or halves[0] != halves[1]:
        raise SkillError(f"{skill.folder} lacks a part of what it learned; fit again or restore it.")


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
        open_, decoding or Decoding(max_new_tokens=max(_LONGEST, open_.longest), temperature=0.7, top_p=0.9), system
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
    how = decoding or Decoding(max_new_tokens=open_.longest if open_.kind == "summaries" else _LONGEST)
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
        import sys

        from headstart.data.encoding import decode

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


def _is_network(name: str) -> bool:
    there = (skill_folder(name) / MANIFEST).is_file() or Path(name).is_file()
    return not there and (name in CATALOG or name.startswith((*HUBS, "file:", SKILL)))


def _as_it_came(name: str, card: Card, language: Language, threads: int) -> Voice:
    _limit(threads)
    answers = language.speaker.tokenizer.chat_template or isinstance(language.speaker, Framed)
    kind = "chat" if answers else PLAIN
    return Voice(name, language, kind, None, _LONGEST, None)


def _limit(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)
