"""`predict --adapt`: a skill whose batch norms take the statistics of the inputs at hand, for one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headstart.adapt.held import Held, last_alone
from headstart.core.skill import TAIL
from headstart.data.dataset import Dataset
from headstart.data.near import readable
from headstart.errors import UsageError
from headstart.sources.card import card_of
from headstart.verbs.predict import Predictor

_LEAST = 16  # pictures below which their own statistics are worse than those of the training data
_MOST = 256  # pictures that the statistics are taken from, at most


def renormed(predictor: Predictor, data: Dataset, cache: Path, *, threads: int = 0) -> Predictor:
    """The skill with a network of its own, normed by these inputs and run through PyTorch; the skill stays as it is.

    Raises:
        UsageError: inputs that are too few, or a network without batch norms.

    Reference:
        Schneider et al., 2020, arXiv:2006.16971 (test-time batch norms, all of them from the target).
    """
    skill = predictor.skill
    card = card_of(skill.manifest["source"])
    if card.modality != "image" or card.beside:
        raise UsageError(f"{card.name} is not one network of pictures, whose norms --adapt could set; leave it out.")
    whole = readable(data, threads=threads or 2)
    if len(whole) < _LEAST:
        raise UsageError(f"--adapt was given {len(whole)} pictures; give at least {_LEAST} together, better a hundred.")
    from headstart.adapt.inputs import pictures_of
    from headstart.adapt.norms import norms_of, swap_
    from headstart.adapt.traced import eager_taps, limit
    from headstart.sources.load import with_tail

    limit(threads)
    tail = {name: array for name, array in skill.arrays.items() if name.startswith(TAIL)}
    stack = with_tail(card, tail, cache)
    norms = norms_of(stack, pictures_of(whole, card, threads=threads), most=_MOST)
    if not norms:
        raise UsageError(f"{card.name} has no batch norms, which --adapt sets; leave --adapt out.")
    swap_(stack, norms)
    engine = eager_taps(stack, card, "cpu", last=last_alone(skill))
    return replace(predictor, held=Held(card, f"{card.digest}-renormed", engine, cache, threads))
