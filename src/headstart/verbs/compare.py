"""`compare`: what a pretrained network is worth on some data, over budgets of labels, against doing without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from headstart.adapt.probe import Outputs
from headstart.data.dataset import Options
from headstart.errors import UsageError
from headstart.heads import metrics
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.report.comparison import Comparison, Made
from headstart.sources.card import Card
from headstart.sources.find import find
from headstart.study.files import write_whole
from headstart.study.points import points_of, worth_of
from headstart.study.transfer import transfer_of
from headstart.study.units import Outcome, Shelf, Unit, part_of, run
from headstart.verbs.arms import ARMS, Work, ways_of
from headstart.verbs.energy import HINT, open_meter
from headstart.verbs.fit import DEFAULT_SOURCE
from headstart.verbs.machine import machine
from headstart.verbs.planfile import lined
from headstart.verbs.planned import made_here, planned, read_plans
from headstart.verbs.prepared import Prepared, ask_of, opened, prepared
from headstart.verbs.record import source_of
from headstart.verbs.threads import at_most
from headstart.verbs.watch import Silent, Teller
from headstart.version import __version__

PAGE = "comparison.html"


def compare(
    data: str | Path,
    out: str | Path | None = None,
    *,
    arms: Sequence[str] = ARMS,
    plans: Sequence[str | Path] = (),
    labels: Sequence[int] = (),
    seeds: int = 3,
    part: str | None = None,
    options: Options | None = None,
    source: str | None = None,
    metric: str | None = None,
    scratch: float = 5.0,
    threads: int = 0,
    cache: Path | None = None,
    teller: Teller | None = None,
    command: str = "",
) -> Comparison:
    """Learn in several ways from the same few rows, ask all about the same others, and write a page.

    Rows of a budget are among those of the next, each seed draws its own, and within a seed all arms learn from the
    same rows. Each outcome is a file: what was done is not done again, an interrupted comparison goes on, and several
    processes may share the work. Without codecarbon there are no joules.

    Args:
        data: folder or table.
        out: folder of the outcomes and the page; None takes NAME.comparison in the current folder.
        arms: of majority, classical, scratch, probe (depth 1), chosen (as deep as pays) and whole.
        plans: plan files, each an arm more, named by its file or by the skill that it lies in.
        labels: budgets of rows to learn from; none takes three from two rows of each class to 500.
        seeds: how many times everything is done with other rows.
        part: K/N: every N-th unit from the K-th on, the others being done elsewhere; None does all and gathers.
        options: columns and task of the data.
        source: of the pretrained network; None takes the default of the modality.
        metric: None takes the task's default.
        scratch: seconds of each training of the whole network, from random weights and pretrained.
        threads, cache, teller, command: as of `fit`.

    Raises:
        UsageError: an arm or budgets that there are not, a part out of range, a plan that cannot be followed.
        DataError: data that `fit` would refuse.
        StoreError: a folder that cannot be written.
    """
    _check(arms, plans, seeds, part)
    settings = read_plans(plans)
    teller, cache = teller or Silent(), cache or cache_folder()
    place = Path(out) if out else Path(f"{Path(data).absolute().stem}.comparison")
    hush(threads)
    with at_most(threads):
        ready = prepared(data, options, seed=0, threads=threads)
        ask = ask_of(ready.data, metric)
        card = find(source or DEFAULT_SOURCE[ready.data.modality], cache)
        networks = _Networks(ready, cache, threads, teller)
        ways = ways_of(networks.features(card), scratch)
        for name, decided in settings.items():
            with lined(decided, "source"):
                own = find(decided.source, cache) if decided.source else card
            ways[name] = planned(decided, own, ready, networks.features)
            ways[name].learner(ask, cache)  # what a plan cannot do is said before anything is done
        meter = open_meter()
        if meter is None:
            teller.say(HINT)
        work = Work(ready, ask, cache, scratch, meter, teller, ways)
        units = work.units([*_possible(arms, card, teller), *settings], labels, seeds)
        done = _done(units, _shelf(place, card, work), work, part)
    found = _gathered(done, units, work, place, _made(ready, card, scratch, command))
    files = dict(zip(settings, map(str, plans), strict=True))
    return _written(replace(found, path=str(data), plans=files, seen=made_here(settings, ready)))


def _check(arms: Sequence[str], plans: Sequence[str | Path], seeds: int, part: str | None) -> None:
    """Refuse at once what no data could make right."""
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown or not (arms or plans):
        raise UsageError(f"arm {', '.join(unknown) or 'none'} is unknown; use some of {', '.join(ARMS)}.")
    if not 1 <= seeds <= 100:
        raise UsageError(f"seeds={seeds} must be from 1 to 100; write for example --seeds 3.")
    if part is not None:
        part_of((), part)


def _possible(arms: Sequence[str], card: Card, teller: Teller) -> list[str]:
    """The arms in their order; networks side by side can be neither trained from scratch nor tuned."""
    if card.beside and {"scratch", "whole"} & set(arms):
        teller.say(f"scratch and whole are left out: {card.name} are networks side by side, which take a head only")
        arms = [arm for arm in arms if arm not in ("scratch", "whole")]
    return [arm for arm in ARMS if arm in arms]


@dataclass(frozen=True)
class _Networks:
    """Networks that are open, each once, as several plans may have the same."""

    ready: Prepared
    cache: Path
    threads: int
    teller: Teller
    there: dict[str, Outputs] = field(default_factory=dict)

    def features(self, card: Card) -> Outputs:
        """The outputs of a network for the data."""
        if card.digest not in self.there:
            data, told = self.ready.data, self.teller.say
            self.there[card.digest] = opened(card, data, self.cache, threads=self.threads, told=told)
        return self.there[card.digest]


def _shelf(place: Path, card: Card, work: Work) -> Shelf:
    """The outcomes' folder, which can be written."""
    about = f"{work.ready.data.fingerprint} {card.digest} {work.ask.metric} {work.scratch:g} {__version__}"
    also = {name: way.about for name, way in work.ways.items() if way.about}
    shelf = Shelf(place / "outcomes", about, also, work.teller.say)
    shelf.ready()
    return shelf


def _done(units: Sequence[Unit], shelf: Shelf, work: Work, part: str | None) -> list[Outcome]:
    """Outcomes in the order of the units: all, or those of a part and what others have done by now."""
    own = units if part is None else part_of(units, part)
    outcomes = {}
    for outcome in run(own, shelf, work.do):
        outcomes[outcome.unit] = outcome
        work.teller.progress("compare", len(outcomes), len(own))
    outcomes |= {unit: there for unit in units if unit not in outcomes and (there := shelf.find(unit))}
    return [outcomes[unit] for unit in units if unit in outcomes]


def _gathered(done: Sequence[Outcome], units: Sequence[Unit], work: Work, place: Path, made: Made) -> Comparison:
    """What the outcomes say; while some are missing, no arm is weighed against another."""
    higher = metrics.higher_is_better(work.ask.metric)
    points = points_of(done)
    whole = len(done) == len(units)
    return Comparison(
        path="",
        source=made.source.name,
        metric=work.ask.metric,
        seeds=len({unit.seed for unit in units}),
        test=len(work.divided(0)[1]),
        points=points,
        worth=worth_of(done, points, higher=higher) if whole else (),
        folder=place,
        transfer=transfer_of(done, points, higher=higher) if whole else None,
        missing=len(units) - len(done),
        energy=tuple(dict.fromkeys(each.known for each in done if each.known)),
        plans={},
        seen=(),
        made=made,
    )


def _made(ready: Prepared, card: Card, scratch: float, command: str) -> Made:
    created, data = datetime.now(UTC).isoformat(timespec="seconds"), ready.data
    about = (data.fingerprint, data.modality, data.task, len(data))
    return Made(__version__, created, command, machine(), source_of(card), *about, ready.parts.how, scratch)


def _written(found: Comparison) -> Comparison:
    """With its page, where nothing is missing."""
    if found.missing:
        return found
    from headstart.report.compared import page

    found = replace(found, page=found.folder / PAGE)
    write_whole(found.folder / PAGE, page(found))
    return found
