"""`merge`: several skills of one network in one, side by side (stack) or as their mean (average)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from headstart.adapt.soup import soup
from headstart.core import skill as core
from headstart.core.also import ALSO, MAIN, OWN, chosen, named
from headstart.core.archive import opened
from headstart.core.skill import DELTA, Skill
from headstart.errors import UsageError
from headstart.heads.average import average, ordered
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.report import merged as told
from headstart.report.merged import Loss, Merged, Point
from headstart.report.record import Score
from headstart.sources.card import card_of
from headstart.verbs.loss import Named, loss_of
from headstart.verbs.parts import Part, parts_of, refuse
from headstart.verbs.skills import METRICS
from headstart.verbs.watch import Silent, Teller
from headstart.version import __version__

Data = str | Path | Mapping[str, str | Path]


@dataclass(frozen=True, eq=False)
class Joined:
    """What comes of the parts, before it is written.

    Attributes:
        kept: of each part, whether its head answers as before by construction.
    """

    skill: Skill
    kept: tuple[bool, ...]


@dataclass(frozen=True)
class Merging:
    """A merged skill on disk, and what is known of it."""

    skill: Skill
    about: Merged


def merge(
    skills: Sequence[str | Path | Skill],
    out: str | Path,
    *,
    how: str = "stack",
    data: Data | None = None,
    cache: Path | None = None,
    threads: int = 0,
    teller: Teller | None = None,
) -> Merging:
    """Make one skill of several that were made from the same network.

    `stack` keeps every head, each for a task of its own: `predict --head NAME` asks one. Where no blocks below the
    heads learned, nothing is lost; at most one learned tail can be kept, and heads that learned without it may lose.
    `average` takes the mean of heads, and of tails where there are any, that answer the same classes.

    Args:
        skills: folders or archives, two or more.
        out: folder of what comes of them.
        how: stack or average.
        data: labelled data that the loss is measured on: for `average` one set, for `stack` a set for each head's name.

    Raises:
        UsageError: skills that cannot be merged so, or data for no head.
        SkillError: what is no skill, or a disk that refuses.
    """
    hush(threads)
    root, place, teller = cache or cache_folder(), Path(out), teller or Silent()
    core.ready(place)
    parts = parts_of([each if isinstance(each, Skill) else opened(each, root) for each in skills])
    refuse(parts, how)
    name = place.name.removesuffix(".skill")
    sets = _sets(data, parts, how, name)
    joined = (_stacked if how == "stack" else _averaged)(parts, place, name)
    losses = []
    for which, path in sets.items():
        teller.say(f"measuring what {which} lost on {path}")
        before = [Named(part.name, part.skill) for part in parts if how == "average" or part.name == which]
        after = Named(which, chosen(joined.skill, which) if how == "stack" else joined.skill)
        losses.append(loss_of(before, after, path, cache=root, threads=threads, teller=teller))
    about = _about(name, parts, how, joined, losses)
    texts = {METRICS: told.metrics(about), "README.md": told.card(about)}
    return Merging(core.write(place, joined.skill.manifest, joined.skill.arrays, texts), about)


def _sets(data: Data | None, parts: Sequence[Part], how: str, name: str) -> dict[str, str | Path]:
    """Name of a head, or of the merged skill -> labelled data.

    Raises:
        UsageError: data without names for a stack, or for a head that there is not.
    """
    if data is None:
        return {}
    if how == "average":
        if isinstance(data, Mapping):
            raise UsageError("skills that are averaged have one task; give one labelled set as --data PATH.")
        return {name: data}
    names = [part.name for part in parts]
    if not isinstance(data, Mapping) or not set(data) <= set(names):
        raise UsageError(f"labelled data is given for a head by its name, as --data NAME=PATH; use {', '.join(names)}.")
    return dict(data)


def _stacked(parts: Sequence[Part], place: Path, name: str) -> Joined:
    tail = next((part for part in parts if part.network.tail), None)
    first, *others = parts
    manifest = {
        **_manifest(first, name),
        MAIN: first.name,
        ALSO: [{"name": part.name, **{key: part.skill.manifest[key] for key in OWN}} for part in others],
    }
    arrays = {**first.head.arrays(), **(tail.tail if tail else {})}
    for k, part in enumerate(others):
        arrays |= named(k, part.head.arrays())
    kept = tuple(tail is None or part.network.tail == tail.network.tail for part in parts)
    return Joined(Skill(place, manifest, arrays), kept)


def _averaged(parts: Sequence[Part], place: Path, name: str) -> Joined:
    classes = parts[0].skill.manifest["classes"]
    # by name: the same class may stand in another column of another skill
    heads = [ordered(part.head, [part.skill.manifest["classes"].index(each) for each in classes]) for part in parts]
    arrays = {**average(heads).arrays(), **soup([part.tail for part in parts])}
    return Joined(Skill(place, _manifest(parts[0], name), arrays), (False,) * len(parts))


def _manifest(main: Part, name: str) -> dict[str, object]:
    said = main.skill.manifest
    own = {key: said[key] for key in ("modality", "source", *OWN)}
    return {"headstart": __version__, "name": name, **own}


def _about(name: str, parts: Sequence[Part], how: str, joined: Joined, losses: Sequence[Loss]) -> Merged:
    card = card_of(parts[0].skill.manifest["source"])
    return Merged(
        name=name,
        how=how,
        said=_said(parts, how, joined.kept, {loss.name for loss in losses}),
        modality=card.modality,
        source=card.name,
        licence=card.licence,
        asserted_by=card.asserted_by,
        upstream=card.upstream,
        trained_on=card.trained_on,
        parts=tuple(_told(part) for part in parts),
        headstart=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        losses=tuple(losses),
        score=_score(parts[0], name, how, joined, losses),
    )


def _told(part: Part) -> told.Part:
    said, score = part.skill.manifest, part.score
    return told.Part(
        part.name,
        said["task"],
        tuple(said["classes"]),
        said["metric"],
        said["depth"],
        tuple(said["taps"]),
        said["files"][DELTA],
        Point(part.name, score.value, score.low, score.high) if score and score.metric == said["metric"] else None,
    )


def _score(main: Part, name: str, how: str, joined: Joined, losses: Sequence[Loss]) -> dict[str, object] | None:
    """Of the main head, in the form of a record's: its own fit's where it lost nothing, else measured on other rows."""
    if joined.kept[0] and main.score:
        return asdict(main.score)
    wanted = main.name if how == "stack" else name
    loss = next((loss for loss in losses if loss.name == wanted and not loss.seen), None)
    if loss is None:
        return None
    point = loss.merged
    return asdict(Score(loss.metric, point.value, point.low, point.high, loss.rows, "labelled data given to merge"))


def _said(parts: Sequence[Part], how: str, kept: Sequence[bool], measured: set[str]) -> str:
    """What is lost, in whole sentences."""
    if how == "average":
        what = "heads and learned blocks" if parts[0].tail else "heads"
        return f"The {what} of {len(parts)} skills are averaged, which may cost or bring something; " + (
            "it is measured below." if measured else "nothing was measured: give labelled data with --data."
        )
    if all(kept):
        if not any(part.network.tail for part in parts):
            return "Nothing is lost: no blocks below the heads learned, so each head reads what it read before."
        return "Nothing is lost but rounding: all heads learned on the same tail, which is kept."
    safe = [part.name for part, whole in zip(parts, kept, strict=True) if whole]
    other = [part.name for part, whole in zip(parts, kept, strict=True) if not whole]
    unmeasured = [name for name in other if name not in measured]
    last = f" For {', '.join(unmeasured)} it was not measured: give --data NAME=PATH." if unmeasured else ""
    return (
        f"The network is that of {', '.join(safe)}, whose answers stay what they were. It differs from the one that "
        f"{', '.join(other)} learned on, which may lose by it; what was measured stands below.{last}"
    )
