"""Commands that write: answers to prompts, a talk, summaries."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.options import Cache, Json, Threads, at_least
from headstart.cli.show import show
from headstart.cli.tell import Console

if TYPE_CHECKING:
    from headstart.verbs.write import Chat, Decoding, Summary

Who = Annotated[str, typer.Argument(help="A skill that writes, or a network such as smollm2-135m.")]
System = Annotated[str | None, typer.Option("--system", help="What the talk begins with; else as it was learned.")]
Longest = Annotated[int | None, typer.Option("--max-new-tokens", help="Length limit of an answer.")]
Heat = Annotated[float | None, typer.Option("--temperature", help="0 takes the likeliest token each time.")]
TopP = Annotated[float | None, typer.Option("--top-p", help="Draw of the likeliest tokens that have this together.")]
TopK = Annotated[int, typer.Option("--top-k", help="Draw of so many of the likeliest tokens; 0 is all.")]
Penalty = Annotated[float, typer.Option("--repetition-penalty", help="Of tokens that the answer has already.")]
NGrams = Annotated[int, typer.Option("--no-repeat-ngram-size", help="So many tokens in a row do not come twice.")]
Stop = Annotated[list[str] | None, typer.Option("--stop", help="Words before which the answer ends; may come again.")]
Seed = Annotated[int, typer.Option(help="Of the draws: the same seed gives the same text.")]

_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LEAVE, _ANEW = ("/exit", "/quit"), "/new"


def generate(
    who: Who,
    prompts: Annotated[list[str] | None, typer.Argument(help="Prompts, or - for one in each line of standard input.")],
    system: System = None,
    max_new_tokens: Longest = None,
    temperature: Heat = None,
    top_p: TopP = None,
    top_k: TopK = 0,
    repetition_penalty: Penalty = 1.0,
    no_repeat_ngram_size: NGrams = 0,
    stop: Stop = None,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(help="Prompts that are answered together.")] = 8,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Answer prompts: the text alone for one, a CSV row for each of several."""
    at_least(0, threads=threads)
    from headstart.verbs.voice import open_voice
    from headstart.verbs.write import Decoding
    from headstart.verbs.write import generate as verb

    asked = _asked(prompts or [])
    with Console() as teller:
        voice = open_voice(who, cache=cache, threads=threads)
        drawn = temperature, top_p, top_k, repetition_penalty, no_repeat_ngram_size, stop, seed
        how = _decoding(Decoding(max_new_tokens=voice.longest), max_new_tokens, *drawn)
        found = verb(voice, asked, decoding=how, system=system, batch=batch, teller=teller)
        if cut := [each.cut for each in found if each.cut]:
            teller.say(f"{len(cut)} of {len(found)} prompts did not fit the window and lost {sum(cut):,} tokens")
    if as_json:
        show({"answers": [asdict(each) for each in found]}, True, str)
    elif len(found) == 1:
        print(_shown(found[0].text))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["prompt", "text"])
        writer.writerows([each.prompt, each.text] for each in found)


def chat(
    who: Who,
    system: System = None,
    max_new_tokens: Longest = None,
    temperature: Heat = None,
    top_p: TopP = None,
    top_k: TopK = 0,
    repetition_penalty: Penalty = 1.0,
    no_repeat_ngram_size: NGrams = 0,
    stop: Stop = None,
    seed: Seed = 0,
    threads: Threads = 0,
    cache: Cache = None,
) -> None:
    """Talk with a skill: answers come as they are written. In a pipe each line is a turn.

    /new forgets what was said, /exit or the end of the input leaves; an interrupt breaks an answer off.
    """
    at_least(0, threads=threads)
    from headstart.verbs.voice import open_voice
    from headstart.verbs.write import chat as verb

    voice = open_voice(who, cache=cache, threads=threads)
    talk = verb(voice, system=system)
    drawn = temperature, top_p, top_k, repetition_penalty, no_repeat_ngram_size, stop, seed
    talk.decoding = _decoding(talk.decoding, max_new_tokens, *drawn)
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    if asks:
        print(f"{voice.name}: /new forgets what was said, /exit leaves.", file=sys.stderr)
    for line in _lines(asks):
        if line.strip() in _LEAVE:
            break
        if line.strip() == _ANEW:
            talk.history.clear()
        elif line.strip():
            _answer(talk, line, asks)


def summarize(
    who: Who,
    files: Annotated[list[str], typer.Argument(help="Text files of any length, or - for standard input.")],
    instruction: Annotated[str | None, typer.Option(help="Said before each part; else as it was learned.")] = None,
    max_new_tokens: Longest = None,
    temperature: Heat = None,
    top_p: TopP = None,
    top_k: TopK = 0,
    repetition_penalty: Penalty = 1.0,
    no_repeat_ngram_size: NGrams = 0,
    stop: Stop = None,
    seed: Seed = 0,
    threads: Threads = 0,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Summarise documents, longer ones part by part. Exit code 1 when none could be."""
    at_least(0, threads=threads)
    from headstart.verbs.voice import open_voice
    from headstart.verbs.write import Decoding
    from headstart.verbs.write import summarize as verb

    with Console() as teller:
        voice = open_voice(who, cache=cache, threads=threads)
        drawn = temperature, top_p, top_k, repetition_penalty, no_repeat_ngram_size, stop, seed
        how = _decoding(Decoding(max_new_tokens=voice.longest), max_new_tokens, *drawn)
        found = verb(voice, list(files), decoding=how, instruction=instruction, teller=teller)
        for each in found:
            if each.error:
                teller.say(f"{each.name}: {each.error}")
    if as_json or any(each.text for each in found):
        show({"summaries": [asdict(each) for each in found]}, as_json, lambda: _in_words(found))
    if all(each.error for each in found):
        raise typer.Exit(1)


def _in_words(found: list[Summary]) -> str:
    """The text alone for one document, under its name for several."""
    if len(found) == 1:
        return _shown(found[0].text or "")
    return "\n\n".join(f"{each.name}\n{_shown(each.text)}" for each in found if each.text is not None)


def _decoding(
    usual: Decoding,
    longest: int | None,
    temperature: float | None,
    top_p: float | None,
    top_k: int,
    penalty: float,
    ngrams: int,
    stop: list[str] | None,
    seed: int,
) -> Decoding:
    """How it is usually written, with what was given in its place; 0 was given too."""
    given = {"max_new_tokens": longest, "temperature": temperature, "top_p": top_p}
    said = {name: value for name, value in given.items() if value is not None}
    more = {"top_k": top_k, "repetition_penalty": penalty, "no_repeat_ngram_size": ngrams}
    return replace(usual, **said, **more, stop=tuple(stop or ()), seed=seed)


def _shown(text: str) -> str:
    """Text for a terminal: what would steer it is printed as an escape."""
    return _STEERS.sub(lambda found: repr(found[0])[1:-1], text) if sys.stdout.isatty() else text


def _asked(prompts: list[str]) -> list[str]:
    """The prompts, those of standard input among them."""
    asked: list[str] = []
    for prompt in prompts:
        if prompt == "-":
            from headstart.data.encoding import decode, lines_of

            asked += [line for line in lines_of(decode(sys.stdin.buffer.read())[0]) if line.strip()]
        else:
            asked.append(prompt)
    return asked


def _lines(asks: bool) -> Iterator[str]:
    """What is said to the skill, line by line."""
    if not asks:
        yield from sys.stdin
        return
    with suppress(ImportError):  # not on Windows
        import readline  # noqa: F401  # arrows and history in `input`
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return


def _answer(talk: Chat, line: str, asks: bool) -> None:
    """Print an answer as it comes; an interrupt at the keyboard breaks it off, and the talk goes on."""
    pieces = talk.say(line)
    try:
        for piece in pieces:
            print(_shown(piece), end="", flush=True)
    except KeyboardInterrupt:
        if not asks:
            raise
    finally:
        pieces.close()
        print(flush=True)
