"""A language model ready to answer in words, tuned or as it came, and a talk with one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headstart.adapt.traced import limit
from headstart.core import archive
from headstart.core.skill import MANIFEST, Skill, writes
from headstart.data.dataset import WRITES
from headstart.data.encoding import mended
from headstart.data.talks import PLAIN, Turn
from headstart.errors import DataError, SkillError, UsageError
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources.card import card_of
from headstart.sources.catalog import CATALOG
from headstart.sources.decoding import Decoding
from headstart.sources.find import HUBS, SKILL, find, skill_folder
from headstart.sources.frames import Framed
from headstart.sources.language import Language, open_language
from headstart.sources.load import LORA_A, LORA_B, lay_over
from headstart.sources.safe import refuse_code
from headstart.sources.writer import Writer

LONGEST = 256  # tokens of an answer where nothing is said


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
        return _as_it_came(str(name), open_language(card, root, cuts=()), threads)
    skill = name if isinstance(name, Skill) else archive.opened(skill_folder(str(name)), root)
    said = skill.manifest
    if not writes(skill):
        raise UsageError(f"{skill.folder} answers with labels and writes nothing; use `headstart predict`.")
    _whole(skill)
    card = card_of(said["source"])
    refuse_code(card, root)
    language = open_language(card, root, cuts=())
    lay_over(language.stack, skill.arrays, card.name)
    limit(threads)
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


def _is_network(name: str) -> bool:
    there = (skill_folder(name) / MANIFEST).is_file() or Path(name).is_file()
    return not there and (name in CATALOG or name.startswith((*HUBS, "file:", SKILL)))


def _as_it_came(name: str, language: Language, threads: int) -> Voice:
    limit(threads)
    answers = language.speaker.tokenizer.chat_template or isinstance(language.speaker, Framed)
    kind = "chat" if answers else PLAIN
    return Voice(name, language, kind, None, LONGEST, None)
