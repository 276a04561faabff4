"""The plan that a fit came to, for the next one to follow."""

from __future__ import annotations

from headstart.adapt.learn import Learned
from headstart.adapt.probe import Ask
from headstart.data.dataset import Dataset, Options
from headstart.sources.card import Card
from headstart.verbs.planfile import DECIDED, FORMAT, KEYS, OPTIONS, RATES, Reason, update_of, written
from headstart.verbs.settings import NO_GUARD, Settings

_NOTES = {"head": "these two follow from the rest: who follows this plan finds them anew"}


def plan_of(data: Dataset, options: Options, ask: Ask, asked: Settings, card: Card, learned: Learned) -> str:
    """Everything that decided the fit, with where each choice came from; fingerprints of data and source on top."""
    values = {
        "format": FORMAT,
        "data": data.fingerprint,
        "source": card.name,
        "source_digest": card.digest,
        "task": data.task,
        **{name: vars(options)[name] for name in OPTIONS[1:]},
        "metric": ask.metric,
        "depth": learned.depth,
        "update": update_of(learned.depth, learned.blocks, learned.plan.update if learned.plan else "all"),
        "taps": list(learned.taps),
        "balance": ask.balance,
        "seed": ask.seed,
        "budget": asked.budget,
        **({name: vars(learned.plan)[name] for name in RATES} if learned.plan else {}),
        **_guard(asked, learned),
        "head": learned.fitted.kind,
        "strength": learned.fitted.strength,
    }
    return written(values, _because(data, asked, card, learned), _NOTES)


def _guard(asked: Settings, learned: Learned) -> dict[str, object]:
    """The guard that was taken, for a fit that follows; a limit is kept by measuring anew."""
    if learned.depth == 1 or learned.kept is None or not learned.kept.tried:
        return {"guard": NO_GUARD}
    if asked.forget_at_most is not None:
        return {"guard": asked.guard, "guard_strength": asked.guard_strength, "forget_at_most": asked.forget_at_most}
    chosen = learned.kept.chosen
    return {"guard": chosen.name or NO_GUARD, "guard_strength": chosen.strength if chosen.name else None}


def _because(data: Dataset, asked: Settings, card: Card, learned: Learned) -> dict[str, Reason]:
    """Key -> where its value came from, and why in words."""
    because = {
        "source": Reason("default", f"the default for {card.modality}"),
        "metric": Reason("default", f"the default for {data.task}"),
        "depth": Reason("data", learned.rule),
        "taps": Reason("data", learned.rule),
        "guard": Reason(*(("default", "held blocks cannot forget") if learned.depth == 1 else ("data", learned.rule))),
        "strength": Reason(
            "data", "least log loss in cross-validation among strengths that the metric cannot tell apart"
        ),
    }
    if learned.plan:
        because |= {name: Reason("default", "what such a tail took on other data") for name in RATES}
    for name in DECIDED:
        if vars(asked)[name] is not None:
            because[name] = Reason("user", learned.rule if name in ("depth", "taps") else "it was asked for")
    for name in asked.followed.decided if asked.followed else ():
        text = learned.rule if name in ("depth", "taps") else "the plan that was followed says so"
        because[name] = Reason("plan", text)
    return dict(sorted(because.items(), key=lambda item: list(KEYS).index(item[0])))
