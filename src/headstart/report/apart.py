"""The page of two data sets side by side: it needs no network, no scripts and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.mismatch.layered import Layer
from headstart.report import verdict, wording
from headstart.report.difference import Difference, Mark, Share
from headstart.report.figures import Axis, canvas, draw, markup
from headstart.report.html import document
from headstart.report.page import shown
from headstart.version import __version__

_SHARES = 16  # classes that have a row
_CHANCE = Axis(0.4, 1.0)  # accuracies: one half is chance, and below it too


def page(d: Difference) -> str:
    """The comparison as one HTML document.

    Args:
        d: with or without pictures and texts; without them the names of the examples are listed.

    Returns:
        The document; letters that cannot be written in UTF-8 are replaced, so that it always can be.
    """
    return document("apart.html.jinja", {"d": d, "verdict": verdict, "view": view(d), "version": __version__})


def view(d: Difference) -> Mapping[str, object]:
    """What the template shows and the difference does not say in so many words."""
    top = verdict.strongest(d)
    order = sorted(d.shares, key=lambda share: -max(share.a, verdict.share_in_b(share) or 0))
    ranks = {odd.name: odd.both for odd in d.unusual}
    return {
        "a": Path(d.a.path).name or d.a.path,
        "b": Path(d.b.path).name or d.b.path,
        "what": verdict.what(d),
        "big": f"{100 * top.accuracy:.0f}",
        "top": verdict.layer_name(top.name),
        "todo": [sentence.split("`") for sentence in verdict.advice(d)],
        "layers": layer_curve(d.kind.test.layers),
        "marks": mark_rows(d.marks),
        "shares": share_rows(order[:_SHARES]),
        "rest": len(order) - min(len(order), _SHARES),
        "counted": d.shares_p is not None,
        "trusted": d.kind.name in ("none", "output"),
        "groups": (("The most unusual", shown(d.most), ranks), ("The least unusual", shown(d.least), ranks)),
        "beyond": sum(odd.both >= 0.95 for odd in d.unusual),
    }


def layer_curve(layers: Sequence[Layer], height: float = 260) -> str:
    """How well each layer tells the sets apart, input first, with intervals; the line is chance."""
    figure = canvas(height, f"share told apart by each of {len(layers)} layers", "plot curve apart")
    for tick in _CHANCE.ticks():
        y = _CHANCE.up(tick, height)
        name = "grid chance" if abs(tick - 0.5) < 1e-9 else "grid"
        draw(figure, "line", name, x1="0", x2="100%", y1=y, y2=y)
        draw(figure, "text", "tick end", f"{100 * tick:.0f} %", x=-10, y=float(y) + 4)
    places = [f"{100 * (k + 0.5) / len(layers):.2f}%" for k in range(len(layers))]
    best = max(layers, key=lambda layer: layer.accuracy)
    for x, layer in zip(places, layers, strict=True):
        told = f"{layer.name}: {100 * layer.accuracy:.1f} % [{100 * layer.low:.1f}, {100 * layer.high:.1f}]"
        group = draw(figure, "g", "rung chosen" if layer is best else "rung", told)
        low, high = _CHANCE.up(layer.low, height), _CHANCE.up(layer.high, height)
        draw(group, "line", "range", x1=x, x2=x, y1=low, y2=high)
        draw(group, "circle", "dot", cx=x, cy=_CHANCE.up(layer.accuracy, height), r=5)
    named = sorted({0, 1, len(layers) // 2, len(layers) - 1})
    for k in named if len(layers) > 8 else range(len(layers)):
        draw(figure, "text", "tick middle", layers[k].name, x=places[k], y=height + 20)
    return markup(figure)


def mark_rows(marks: Sequence[Mark]) -> list[tuple[str, str, str, str, str]]:
    """Name, bar from the middle, effect, and the means in A and in B of each mark that moved at all."""
    most = max([2.0, *(abs(mark.effect) for mark in marks)])
    rows = []
    for mark in marks:
        figure = canvas(18, f"{mark.effect:+.2f} deviations", "effect")
        draw(figure, "line", "grid", x1="50%", x2="50%", y1="0", y2="100%")
        width = 50 * abs(mark.effect) / most
        strong = "bar strong" if abs(mark.effect) >= verdict.CLEAR else "bar"
        wide = {"x": f"{50 - (width if mark.effect < 0 else 0):.2f}%", "width": f"{max(width, 0.2):.2f}%"}
        draw(figure, "rect", strong, y=4, height=10, **wide)
        effect = f"{mark.effect:+.2f}".replace("-", wording.MINUS)
        rows.append((mark.name, markup(figure), effect, wording.number(mark.a), wording.number(mark.b)))
    return rows


def share_rows(shares: Sequence[Share]) -> list[tuple[str, str, str, str, str]]:
    """Name, a dot for A and one for B with its interval, the shares in A and in B, and the weight."""
    values = [v for s in shares for v in (s.a, verdict.share_in_b(s), s.high if s.b is None else None) if v is not None]
    axis = Axis(0.0, max([0.05, *values]) * 1.04)
    rows = []
    for share in shares:
        figure, theirs = canvas(20, f"{share.name}", "share"), verdict.share_in_b(share)
        draw(figure, "line", "grid", x1="0", x2="100%", y1="50%", y2="50%")
        if theirs is not None:
            if share.b is None and share.low is not None and share.high is not None:
                ends = {"x1": axis.across(share.low), "x2": axis.across(share.high)}
                draw(figure, "line", "range", y1="50%", y2="50%", **ends)
            draw(figure, "line", "from", x1=axis.across(share.a), x2=axis.across(theirs), y1="50%", y2="50%")
        draw(figure, "circle", "dot", f"A: {100 * share.a:.1f} %", cx=axis.across(share.a), cy="50%", r=5)
        if theirs is not None:
            draw(figure, "circle", "dot ours", f"B: {100 * theirs:.1f} %", cx=axis.across(theirs), cy="50%", r=5)
        said = wording.DASH if theirs is None else f"{100 * theirs:.1f} %"
        weight = wording.DASH if share.weight is None else f"{share.weight:.2f}"
        rows.append((share.name, markup(figure), f"{100 * share.a:.1f} %", said, weight))
    return rows
