"""What was heard before and after, as the values that the report of a language model is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from headstart.data.talks import PLAIN, Talks
from headstart.language import instructions
from headstart.language.chrf import Chrf, chrf, chrf_difference
from headstart.language.memorised import memorised
from headstart.language.repeats import repeats
from headstart.language.rouge import KINDS, Rouge, lead, rouge, rouge_difference
from headstart.language.score import perplexity, perplexity_ratio
from headstart.language.spread import Estimate
from headstart.report.spoken import Change, Figure, Lengths, Recalled, Sample, Side
from headstart.verbs.spoken import Heard, Judge

SHOWN = 20  # samples side by side
_LEAST = 12  # words in a row that are recall
_RUNS = 3


def figure(found: Estimate) -> Figure:
    """A number with its interval, None for what is no number."""
    low, high = (None if math.isnan(end) else end for end in (found.low, found.high))
    return Figure(found.value, low, high, found.n)


def sides_of(judge: Judge, kind: str, before: Heard, after: Heard) -> tuple[Side, Side, Change]:
    """Untuned, tuned, and the change, each number on the same examples.

    Args:
        kind: of the talks.
    """
    told, read = judge.held.told > 0, judge.prose.told > 0  # what was left out tells nothing
    counts, prose = judge.held.told[told], judge.prose.told[read]
    pairs = [_scored(judge, kind, heard) for heard in (before, after)]
    sides = [
        Side(
            perplexity=figure(perplexity(heard.nats[told], counts)),
            scores=_figures(scores),
            lengths=_lengths(heard.texts),
            general=figure(perplexity(heard.general[read], prose)),
            probe=_share(heard.answers),
        )
        for heard, scores in zip((before, after), pairs, strict=True)
    ]
    lost = instructions.lost(before.answers, after.answers) if judge.probed else None
    change = Change(
        perplexity=figure(perplexity_ratio(after.nats[told], before.nats[told], counts)),
        general=figure(perplexity_ratio(after.general[read], before.general[read], prose)),
        scores=_differences(pairs[0], pairs[1]),
        probe=None if lost is None else Figure(lost.value, lost.low, lost.high, len(after.answers)),
    )
    return sides[0], sides[1], change


def lead_of(judge: Judge) -> Mapping[str, Figure]:
    """ROUGE of the first sentence of each document that was summarised."""
    found = rouge([lead(each.prompt) for each in judge.asked], [each.references for each in judge.asked])
    return {name: figure(found.means[name]) for name in KINDS}


def recalled_of(judge: Judge, train: Talks, after: Heard) -> Recalled | None:
    """Training answers that were said again; None where nothing was generated."""
    training = [t.text for talk in train.talks for t in talk.turns if t.role in ("assistant", PLAIN) and t.told]
    if not after.texts or not training:
        return None
    prompts = ["\n".join(turn.text for turn in each.turns) for each in judge.asked]
    own = memorised(after.texts, training, prompts=prompts, least=_LEAST)
    theirs = memorised([each.references[0] for each in judge.asked], training, prompts=prompts, least=_LEAST)
    runs = tuple(run.words for run in own.found[:_RUNS])
    longest = int(own.longest.max(initial=0))
    return Recalled(_LEAST, figure(own.share), figure(theirs.share), figure(own.copies), longest, runs)


def samples_of(judge: Judge, before: Heard, after: Heard) -> tuple[Sample, ...]:
    """The first answers side by side; which they are was drawn before any was written."""
    rows = zip(judge.asked, before.texts, after.texts, strict=True)
    return tuple(
        Sample(asked.name, asked.prompt, asked.references[0], untuned, tuned)
        for asked, untuned, tuned in [*rows][:SHOWN]
    )


def _scored(judge: Judge, kind: str, heard: Heard) -> tuple[Rouge | None, Chrf | None]:
    if not heard.texts or kind == "text":
        return None, None
    references = [each.references for each in judge.asked]
    return (rouge(heard.texts, references) if kind == "summaries" else None), chrf(heard.texts, references)


def _figures(scores: tuple[Rouge | None, Chrf | None]) -> dict[str, Figure]:
    words, signs = scores
    found = {} if words is None else {name: figure(words.means[name]) for name in KINDS}
    return found if signs is None else found | {"chrf": figure(signs.corpus)}


def _differences(
    before: tuple[Rouge | None, Chrf | None], after: tuple[Rouge | None, Chrf | None]
) -> dict[str, Figure]:
    found: dict[str, Figure] = {}
    if before[0] is not None and after[0] is not None:
        found |= {name: figure(gap) for name, gap in rouge_difference(after[0], before[0]).items()}
    if before[1] is not None and after[1] is not None:
        found["chrf"] = figure(chrf_difference(after[1], before[1]))
    return found


def _lengths(texts: Sequence[str]) -> Lengths | None:
    if not texts:
        return None
    found = repeats(texts)
    words = found.words
    repeated = None if np.isnan(found.repeated) else found.repeated
    return Lengths((words.median, words.low, words.high), repeated, found.looping, found.empty)


def _share(answers: Sequence[str]) -> Figure | None:
    if not answers:
        return None
    found = instructions.share(answers)
    return Figure(found.value, found.low, found.high, len(answers))
