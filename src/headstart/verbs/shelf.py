"""Many skills on one network: each is opened once, and what they share is in memory once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.adapt.held import Reader, digest_of, last_alone, open_skill_network
from headstart.core.also import chosen
from headstart.core.archive import opened
from headstart.core.skill import MANIFEST, TAIL, Skill
from headstart.data.dataset import Dataset
from headstart.data.read import read_inputs
from headstart.errors import UsageError
from headstart.places import cache_folder
from headstart.quiet import hush
from headstart.sources.card import card_of
from headstart.verbs.predict import Prediction, Predictor, fits, head_of, outputs, some, told
from headstart.verbs.watch import Teller

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Network:
    """What decides the outputs of a skill's network.

    Attributes:
        card: digest of the pretrained network.
        reads: how it wants its inputs, and what its outputs are called, where the digest does not say so.
        tail: digest of the network with its learned blocks; empty where none learned.
        last: whether it gives the last output alone.
    """

    card: str
    reads: tuple[object, ...]
    tail: str = ""
    last: bool = False


@dataclass(frozen=True, eq=False)
class _Kept:
    """A skill in memory.

    Attributes:
        stamp: of the file that says whether it was changed.
        network: that it reads.
    """

    skill: Skill
    stamp: Stamp
    network: Network


class Shelf:
    """Skills that are ready to answer, with one network for all that share it.

    Skills share a network where their cards compute the same and, where blocks below the head learned, the tail is the
    very same. Each is checked byte for byte when it is opened first, and again when its skill.json was written anew: an
    update is picked up by the next call. It is made for one thread at a time.

    Args:
        cache: folder of networks and stored activations; None takes the user's.
        threads: of the CPU; 0 takes all.
        tails: networks with learned blocks that stay open, at least 1; of more the longest unused is closed.
    """

    def __init__(self, *, cache: Path | None = None, threads: int = 0, tails: int = 4) -> None:
        hush(threads)
        self.cache = cache or cache_folder()
        self.threads = threads
        self.tails = max(1, tails)
        self._kept: dict[str, _Kept] = {}
        self._ready: dict[tuple[str, str | None], tuple[_Kept, Predictor]] = {}
        self._networks: dict[Network, Reader] = {}  # the longest unused first

    def __len__(self) -> int:
        """Skills that are in memory."""
        return len(self._kept)

    @property
    def networks(self) -> tuple[Reader, ...]:
        """Those that are open, the longest unused first."""
        return tuple(self._networks.values())

    def open(self, path: str | Path, head: str | None = None) -> Predictor:
        """A skill ready to answer.

        Args:
            path: of its folder, or of an archive of it.
            head: name of one of its heads, where it has several; None takes the main one.

        Raises:
            SkillError, UsageError, SourceError: as of `open_predictor`; other skills stay open.
        """
        place = os.path.abspath(path)
        kept = self._read(place)
        held = self._network(kept)
        found = self._ready.get((place, head))
        if found is not None and found[0] is kept:
            return found[1]
        skill = chosen(kept.skill, head)
        answering = head_of(skill)
        fits(skill, answering, held)
        predictor = Predictor(skill, held, answering)
        self._ready[place, head] = kept, predictor
        return predictor

    def predict(
        self,
        path: str | Path,
        inputs: str | Path | Sequence[str | Path],
        *,
        column: str | None = None,
        teller: Teller | None = None,
    ) -> list[Prediction]:
        """One prediction per input, as `predict` gives them.

        Args:
            path: of a skill.
            inputs, column: as of `predict`.
        """
        return self.predict_all([path], inputs, column=column, teller=teller)[0]

    def predict_all(
        self,
        paths: Sequence[str | Path],
        inputs: str | Path | Sequence[str | Path],
        *,
        column: str | None = None,
        teller: Teller | None = None,
    ) -> list[list[Prediction]]:
        """What each of these skills says of the same inputs, which are read through each network once.

        Returns:
            One list for each skill, in their order, as `predict` gives them.

        Raises:
            UsageError: no skills, or skills that read different kinds of data.
            DataError: no inputs.
        """
        groups: dict[Network, list[int]] = {}
        modalities: set[str] = set()
        for k, path in enumerate(paths):
            place = os.path.abspath(path)
            kept = self._read(place)
            modalities.add(kept.skill.manifest["modality"])
            groups.setdefault(kept.network, []).append(k)
            if kept.network.tail and kept.network not in self._networks:
                del self._kept[place]  # many tails need not be in memory together: it is read again when it is its turn
        if len(modalities) != 1:
            kinds = " and ".join(sorted(modalities)) or "nothing"
            raise UsageError(f"these {len(paths)} skills read {kinds}; give skills that read one kind of data.")
        given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
        data = some(read_inputs(given, modality=modalities.pop(), column=column))
        found: dict[int, list[Prediction]] = {}
        for places in groups.values():
            answers = self._answers([paths[k] for k in places], data, teller)
            found |= dict(zip(places, answers, strict=True))
        return [found[k] for k in range(len(paths))]

    def _answers(self, paths: Sequence[str | Path], data: Dataset, teller: Teller | None) -> list[list[Prediction]]:
        """Of skills that share a network."""
        predictors = [self.open(path) for path in paths]
        held, lost = predictors[0].held, dict[int, str]()
        if not len(data):
            return [told(each, data, np.zeros((0, len(each.classes))), lost) for each in predictors]
        taps = outputs(held, data, teller, lost.__setitem__)
        # a skill that was updated this very moment may have another network by now
        return [
            told(each, data, each.of(taps) if each.held is held else each.answers(data, teller, lost.__setitem__), lost)
            for each in predictors
        ]

    def _read(self, place: str) -> _Kept:
        """The skill as it is on disk now; only where it was changed is it read again."""
        stamp, kept = _stamp(place), self._kept.get(place)
        if kept is not None and kept.stamp == stamp:
            return kept
        skill = opened(place, self.cache)
        head_of(skill)  # refuses a manifest that lacks what is asked of it below
        self._kept[place] = kept = _Kept(skill, stamp, network_of(skill))
        self._ready = {key: pair for key, pair in self._ready.items() if key[0] != place}
        read = {each.network for each in self._kept.values()}
        self._networks = {each: held for each, held in self._networks.items() if each in read}
        return kept

    def _network(self, kept: _Kept) -> Reader:
        held = self._networks.pop(kept.network, None)
        if held is None:
            held = open_skill_network(kept.skill, self.cache, threads=self.threads)
        self._networks[kept.network] = held
        tuned = [each for each in self._networks if each.tail]
        for old in tuned[: -self.tails]:
            del self._networks[old]
            self._kept = {place: each for place, each in self._kept.items() if each.network != old}
            self._ready = {key: pair for key, pair in self._ready.items() if pair[0].network != old}
        return held


def _stamp(place: str) -> Stamp:
    """Of the manifest, which every change of a skill writes anew, or of an archive; zeros where nothing is there."""
    for path in (os.path.join(place, MANIFEST), place):
        try:
            said = os.stat(path)
        except OSError:
            continue
        return said.st_mtime_ns, said.st_size, said.st_ino
    return 0, 0, 0


def network_of(skill: Skill) -> Network:
    """Which network a skill reads.

    Raises:
        SourceError: a manifest whose source cannot be read.
    """
    card = card_of(skill.manifest["source"])
    reads = tuple((each.name if card.beside else "", each.crop, each.interpolation) for each in card.beside or (card,))
    tail = {name: array for name, array in skill.arrays.items() if name.startswith(TAIL)}
    if not tail:
        return Network(card.digest, reads)
    return Network(card.digest, reads, digest_of(card, tail), last_alone(skill))
