"""Plan files as arms of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headstart.adapt.probe import Outputs
from headstart.errors import UsageError
from headstart.sources.card import Card
from headstart.verbs.arms import ARMS, Way
from headstart.verbs.planfile import same_network, settings_of, suits_network, taps_chosen_here
from headstart.verbs.prepared import Prepared
from headstart.verbs.settings import Settings


def read_plans(plans: Sequence[str | Path]) -> dict[str, Settings]:
    """Arm -> what its plan decides. An arm has the name of its file, or of the skill that holds its plan.toml.

    Raises:
        UsageError: a plan that cannot be read, or a name that is there already.
    """
    found: dict[str, Settings] = {}
    for plan in map(Path, plans):
        name = plan.absolute().parent.name.removesuffix(".skill") if plan.name == "plan.toml" else plan.stem
        if name in found or name in ARMS:
            raise UsageError(f"the plan {str(plan)!r} would be a second arm {name!r}; give the file another name.")
        found[name] = settings_of(plan)
    return found


def planned(settings: Settings, card: Card, ready: Prepared, opened: Callable[[Card], Outputs]) -> Way:
    """The arm of a plan: its network, depth, layers, balance, budget and rates.

    Args:
        card: of the plan's network.
        ready: the data that is compared on.
        opened: card -> features, for networks that are not open yet.

    Raises:
        UsageError: a network with other weights than the plan was made with, one of another modality, or a depth or
            layers that it does not have.
    """
    same_network(settings, card)
    features = opened(card)
    suits_network(settings, features.held.taps, card.name)
    # layers that were chosen on rows that are asked about here would flatter it
    flattered = ready.parts.test is None and taps_chosen_here(settings, ready.data)
    taps = None if flattered else settings.taps
    said = (settings.depth, taps, settings.budget, settings.balance or False, settings.rates)
    return Way(features, *said, about=f"{card.digest} {said}")


def made_here(plans: Mapping[str, Settings], ready: Prepared) -> tuple[str, ...]:
    """Arms whose plan was made on this very data: what they decided has seen more labels than a small budget has."""
    return tuple(
        name
        for name, settings in plans.items()
        if settings.followed and settings.followed.data == ready.data.fingerprint
    )
