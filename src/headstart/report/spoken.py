"""What is known of a run that taught a language model: all that its page and its card are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headstart.report.record import Foretold, LeftOut, Machine, Stage, _Json

FORMAT = 1


@dataclass(frozen=True)
class Figure(_Json):
    """A number with its 95 % interval over n examples; the ends are None where there is one example alone."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Spoken(_Json):
    """The data.

    Attributes:
        path: as given.
        kind: chat, summaries or text.
        train, test: talks of each part.
        how: in words, how they were divided.
        tokens: of the rows learned from, without padding; told: of these the ones to be told.
        shortened: talks that were cut to fit the window; cut_tokens: how many tokens they lost together.
        personal: kind of personal data -> how often it was found; masked: whether it was replaced.
        unknown: share of tokens that stand for no whole character, 0..1.
        fingerprint: of the talks in their order.
        left_out: talks that were not used.
        because: what was detected -> one sentence of why.
    """

    path: str
    kind: str
    train: int
    test: int
    how: str
    tokens: int
    told: int
    shortened: int
    cut_tokens: int
    personal: Mapping[str, int]
    masked: bool
    unknown: float
    fingerprint: str
    left_out: tuple[LeftOut, ...] = ()
    because: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Voice(_Json):
    """The pretrained network and how it learned.

    Attributes:
        source, architecture, licence, asserted_by, upstream, trained_on, digest: of the card.
        depth: blocks that learned, of `blocks`.
        update: all, norms or lora; rank: of adapters, None without.
        parameters: of the network; learned: that could move.
        epochs, lr, batch, window, precision: of the training.
        losses: mean loss of each epoch, nats per told token.
        tokens_per_second: of training, what is stored included; stored: whether held layers ran once.
        seconds: of training.
        pieces: a batch was divided into.
        rule: in words, how depth and rates were decided.
    """

    source: str
    architecture: str
    licence: str
    asserted_by: str
    upstream: str
    trained_on: str
    digest: str
    depth: int
    blocks: int
    update: str
    rank: int | None
    parameters: int
    learned: int
    epochs: int
    lr: float
    batch: int
    window: int
    precision: str
    losses: tuple[float, ...]
    tokens_per_second: float
    stored: bool
    seconds: float
    pieces: int
    rule: str


@dataclass(frozen=True)
class Lengths(_Json):
    """How texts of one side repeat and how long they are, as of `language.repeats`. words: median, 5 % and 95 %."""

    words: tuple[float, float, float]
    repeated: float | None
    looping: float
    empty: float


@dataclass(frozen=True)
class Side(_Json):
    """One network, untuned or tuned.

    Attributes:
        perplexity: per token of held-out answers.
        scores: rouge1, rouge2, rougeL (summaries) and chrf of generated texts, 0..1.
        lengths: of generated texts; None where none were generated.
        general: perplexity of plain prose that no training saw.
        probe: share of short checkable instructions that were followed; None where they were not asked.
    """

    perplexity: Figure
    scores: Mapping[str, Figure]
    lengths: Lengths | None
    general: Figure
    probe: Figure | None


@dataclass(frozen=True)
class Change(_Json):
    """Tuned against untuned, each on the same examples.

    Attributes:
        perplexity, general: tuned over untuned; below 1 is better.
        scores: tuned less untuned, by name as in `Side.scores`.
        probe: share of instructions lost, tuned against untuned; below 0 where more were won.
    """

    perplexity: Figure
    general: Figure
    scores: Mapping[str, Figure]
    probe: Figure | None


@dataclass(frozen=True)
class Recalled(_Json):
    """Training answers that were said again word for word.

    Attributes:
        least: words in a row that count.
        share: of generated texts with such a run that is not of their own prompt.
        reference: the same of the held-out reference answers, as what chance and form make.
        copies: share of generated texts that are a training answer as a whole.
        longest: the longest run, in words; runs: some of them.
    """

    least: int
    share: Figure
    reference: Figure
    copies: Figure
    longest: int
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample(_Json):
    """One held-out prompt, drawn by seed, with what was said. prompt: the last turn before the answer."""

    name: str
    prompt: str
    reference: str
    untuned: str
    tuned: str


@dataclass(frozen=True)
class Guarded(_Json):
    """What was kept on purpose.

    Attributes:
        limit: share of general perplexity that might be lost; None where no limit was set.
        share: of the way that the network was put at, 0..1; 1 is all that it learned.
        tried: share of the way -> general perplexity over the untuned one's, on texts that chose.
        fit: share of the way -> perplexity of held-out training answers, on talks that chose.
        rule: in words.
    """

    limit: float | None
    share: float
    tried: Mapping[str, float]
    fit: Mapping[str, float]
    rule: str


@dataclass(frozen=True)
class SpokenRecord(_Json):
    """One run.

    Attributes:
        lead: rouge of the first sentence of each document, for summaries; empty else.
        instruction: what the untuned network was told before each document, for summaries.
        samples: side by side, unpicked.
        seed: of every random draw.
        energy: how joules are known: measured or estimated.
    """

    data: Spoken
    voice: Voice
    untuned: Side
    tuned: Side
    change: Change
    lead: Mapping[str, Figure]
    instruction: str
    recalled: Recalled | None
    guarded: Guarded | None
    samples: tuple[Sample, ...]
    machine: Machine
    headstart: str
    seed: int
    stages: tuple[Stage, ...] = ()
    seconds: float | None = None
    memory_mb: float | None = None
    joules: float | None = None
    energy: str | None = None
    created: str = ""
    command: str = ""
    foretold: tuple[Foretold, ...] = ()
    format: int = FORMAT
