"""What two data sets side by side mean, in whole sentences: the verdict, what says so, and what to do about it."""

from __future__ import annotations

import math
import shlex

from headstart.mismatch.kind import ALPHA, RATIO
from headstart.mismatch.layered import Layer
from headstart.report.difference import Difference, Mark, Share
from headstart.report.wording import number

PROBABLY = 0.9  # share of bootstrap draws below which a verdict says "probably"
CLEAR = 0.8  # deviations from which on a mark is named
_MARKS = 3
_SAID = {  # column of the surface -> what more and less of it is called
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "paler (less contrast)"),
    "colour": ("more colourful", "less colourful"),
    "warmth": ("warmer in colour", "colder in colour"),
    "fine detail": ("sharper or noisier in fine detail", "smoother in fine detail (blurred?)"),
    "coarse detail": ("richer in coarse detail", "poorer in coarse detail (blurred?)"),
    "noise": ("noisier between the edges", "smoother between the edges"),
    "dark side": (
        "brighter in the middle of their greys (inverted?)",
        "darker in the middle of their greys (inverted?)",
    ),
    "capitals": ("with more capitals", "with fewer capitals"),
    "digits": ("with more digits", "with fewer digits"),
    "punctuation": ("with more punctuation", "with less punctuation"),
    "markup": ("with more markup", "with less markup"),
    "foreign letters": ("with more letters beyond ASCII", "with fewer letters beyond ASCII"),
    "word length": ("with longer words", "with shorter words"),
    "odd words": ("with more words that mix letters and digits", "with fewer words that mix letters and digits"),
    "no vowels": ("with more words without vowels", "with fewer words without vowels"),
    "broken words": ("with more words that the network knows in pieces only", "with fewer words in pieces"),
    "signs": ("with more signs", "with fewer signs"),
}


def headline(d: Difference) -> str:
    """The verdict in one sentence."""
    probably = "probably " if d.kind.sure < PROBABLY else ""
    return {
        "none": "No mismatch can be told.",
        "input": f"The mismatch is {probably}of the input: {what(d)} come through another channel.",
        "feature": f"The mismatch is {probably}of the features: {what(d)} of another domain, subject or style.",
        "output": f"The mismatch is of the labels: the classes occur in other shares, their {what(d)} are alike.",
        "unclear": f"The two sets differ, but these {what(d)} do not show how.",
    }[d.kind.name]


def evidence(d: Difference) -> tuple[str, ...]:
    """What says so, the strongest first."""
    test, kind = d.kind.test, d.kind
    if kind.name == "none":
        also = "" if kind.labels_p is None else ", with their labels or what is answered for them"
        least = 0.5 + 1.645 * math.sqrt(0.25 / (2 * test.rows))
        return (
            f"On {test.rows} {what(d)} of each no layer tells A from B better than sides dealt by chance do "
            f"(p = {number(kind.p)} for all {len(test.layers)} layers together{also}; below {ALPHA:g} it would count).",
            f"A difference that a classifier finds in fewer than about {100 * least:.0f} % of them would not show.",
        )
    top = strongest(d)
    told = [
        f"A classifier that sees {layer_name(top.name)} tells A from B in {100 * top.accuracy:.0f} % "
        f"[{100 * top.low:.0f}, {100 * top.high:.0f}] of the held-out {what(d)}; by chance it would be 50 % "
        f"(p {at_most(test.p, d)} for all layers together)."
    ]
    told += (_of_output if kind.name == "output" else _of_ratio)(d)
    if kind.unseen:
        told.append("None of the network's own layers tells them apart: the network does not see this difference.")
    if kind.name in ("input", "feature") and d.shares_p is not None and d.shares_p <= ALPHA:
        told.append(f"The shares of the classes differ as well (p {at_most(d.shares_p, d)}).")
    return tuple(told)


def _of_output(d: Difference) -> list[str]:
    within, beside = d.kind.within, d.kind.beside
    assert within is not None
    assert beside is not None
    counted = "counted" if d.shares_p is not None else "estimated"
    told = [
        f"With the classes equally often in both ({counted} shares, {within.rows} {what(d)} of each) nothing tells "
        f"them apart (p = {number(within.p)}); of as many without regard to classes p {at_most(beside.p, d)}."
    ]
    far = sorted((s for s in d.shares if share_in_b(s) is not None), key=lambda s: -abs((share_in_b(s) or 0) - s.a))
    if far:
        pairs = "; ".join(f"{s.name} {100 * s.a:.0f} % in A, {100 * (share_in_b(s) or 0):.0f} % in B" for s in far[:3])
        told.append(f"Farthest apart: {pairs}.")
    return told


def _of_ratio(d: Difference) -> list[str]:
    ratio = d.kind.ratio
    assert ratio is not None
    if kind_is_small(d):
        return [f"What the eye sees first and the last layers have both hardly moved ({number(ratio.surface)} and "
                f"{number(max(0.0, ratio.late))} in variances)."]  # fmt: skip
    more = "more" if ratio.value > RATIO else "less"
    said = marks(d)
    told = [f"Compared with A, {what(d)} of B {'are' if d.modality == 'image' else 'come'} {said}."] if said else []
    times = f"{number(ratio.value)} times" if ratio.value < 1000 else "more than 1,000 times"
    told.append(
        f"What the eye sees first has moved {times} as far as the last layers of the network ({number(ratio.surface)} "
        f"against {number(ratio.late)} in variances), {more} than the {RATIO:g} times that set changed inputs from "
        "other contents."
    )
    return told


def kind_is_small(d: Difference) -> bool:
    """Whether the sets differ by less than can be given a kind."""
    return d.kind.name == "unclear"


def advice(d: Difference) -> tuple[str, ...]:
    """What to do, the first thing first; commands are ready to be typed."""
    a, b = shlex.quote(d.a.path), shlex.quote(d.b.path)
    if d.kind.name == "unclear":
        return (
            f"Look at more {what(d)} of each (`--rows`), or at those that are most unusual: what differs is little.",
            labels_of_b(d),
        )
    if d.kind.name == "none":
        return (f"What is learned on A may be used on B as it is; with more {what(d)} smaller differences would show.",)
    if d.kind.unseen:
        return ("Nothing needs to be done for this network; another one may see the difference.",)
    labels = labels_of_b(d)
    if d.kind.name == "output":
        return (
            f"Weigh the classes as they occur in B: {weights(d)}.",
            "Nothing else has to be learned again: the same features hold, and a head for equal shares "
            f"(`headstart fit {a} --balance`) is right for neither set but safe for both.",
        )
    if d.kind.name == "input":
        mend = (
            "Undo it at its origin where you can: the same scanner, exposure, size and compression as in A."
            if d.modality == "image"
            else "Undo it before the network: take off markup, mend letters and blanks, as the texts of A have them."
        )
        again = [
            f"Measure the network's norms anew on B, without labels: "
            f"`headstart fit {a} --adapt-to {b} --adapt-by norms+standardised`."
        ]
        deep = "Where that is not enough let the first blocks learn too: the whole depth, on A and B together."
        return (mend, *(again if d.norms else []), deep, labels)
    return (
        f"Align the features of A with those of B, without labels: `headstart fit {a} --adapt-to {b}`.",
        f"See whether another network finds them more alike: `headstart inspect {a} --against {b} --source NAME`.",
        _deeper(d),
        labels,
    )


def _deeper(d: Difference) -> str:
    """From the first layer on that tells the sets apart nearly as well as any."""
    taps = d.kind.test.layers[1:]
    best = max(taps, key=lambda layer: layer.accuracy)
    place = next(k for k, layer in enumerate(taps) if layer.accuracy >= best.low)
    depth = min(len(taps) - place + 1, len(taps))  # the blocks from there on, and the head
    return (
        f"Go deeper: from {taps[place].name} on the sets are told apart as well as anywhere, so let the last {depth} "
        f"blocks learn on both (`--depth {depth}`)."
    )


def labels_of_b(d: Difference) -> str:
    """What labels of B are worth."""
    there = "B has labels" if d.b.labelled else "B has none yet"
    return f"A few labels of B are worth most: learn on A and B together, and test on B ({there})."


def weights(d: Difference, most: int = 6) -> str:
    """What an example of each class of A counts in B."""
    known = [share for share in d.shares if share.weight is not None]
    said = ", ".join(f"{share.name} {number(share.weight)}" for share in known[:most])
    return said + (f" and {len(known) - most} more (--json lists all)" if len(known) > most else "")


def marks(d: Difference) -> str:
    """The clearest marks of the surface in words; empty where none is clear."""
    clear = [mark for mark in d.marks if abs(mark.effect) >= CLEAR][:_MARKS]
    return ", ".join(called(mark) for mark in clear)


def called(mark: Mark) -> str:
    """A mark in words: paler (less contrast)."""
    return _SAID[mark.name][0 if mark.effect > 0 else 1]


def strongest(d: Difference, *, taps: bool = False) -> Layer:
    """The layer that tells the sets apart best; with `taps` among the network's own alone."""
    layers = d.kind.test.layers
    return max(layers[1:] if taps and len(layers) > 1 else layers, key=lambda layer: layer.accuracy)


def share_in_b(share: Share) -> float | None:
    """Counted, else estimated."""
    return share.estimate if share.b is None else share.b


def layer_name(name: str) -> str:
    """As it stands in a sentence."""
    return {"surface": "the surface alone"}.get(name, name)


def what(d: Difference) -> str:
    """pictures or texts"""
    return "pictures" if d.modality == "image" else "texts"


def at_most(p: float, d: Difference) -> str:
    """= 0.0124, or < 0.002 where no permutation was as far."""
    least = 1 / 501
    return f"< {2 * least:.2g}" if p <= least * 1.001 else f"= {number(p)}"
