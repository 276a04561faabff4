"""What is known of one run, as plain frozen values: all that the page and the card are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Self, Union, get_args, get_origin, get_type_hints

from headstart.errors import DataError

FORMAT = 1


class _Json:
    """To and from what the json module reads and writes."""

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The value that `to_json` wrote.

        Raises:
            DataError: a part is missing, unknown or of another type; the message names it.
        """
        made = _read(cls, data, cls.__name__.lower())
        assert isinstance(made, cls)
        return made

    def to_json(self) -> dict[str, object]:
        """Dicts, lists, text, numbers and None only."""
        return {part.name: _plain(self.__dict__[part.name]) for part in fields(self)}  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Machine(_Json):
    """Where the run was. memory_gb: of the machine; versions: package -> version."""

    cpu: str
    cores: int
    memory_gb: float
    python: str
    platform: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassCount(_Json):
    """Examples of one class in the two parts. With cross-validation all are in train and test is 0."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class LeftOut(_Json):
    """An input that was not used, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Finding(_Json):
    """Something seen in the data before training. severity: note, warning or error; what: a short heading."""

    severity: str
    what: str
    text: str


@dataclass(frozen=True)
class Example(_Json):
    """One input with what it was said to be.

    Attributes:
        name: of the file, or the row.
        truth: the label given, or the number in text form; None where unknown.
        answer: of the model; None where it was not asked.
        probability: of the answer, 0..1; None for numbers.
        text: the input, if it is text and may be shown.
        picture: the input as `data:image/...;base64,...`, if it is a picture and may be shown.
    """

    name: str
    truth: str | None = None
    answer: str | None = None
    probability: float | None = None
    text: str | None = None
    picture: str | None = None


@dataclass(frozen=True)
class Data(_Json):
    """What was learned from. rows: used, both parts together; because: decision -> reason in words."""

    path: str
    name: str
    fingerprint: str
    modality: str
    task: str
    rows: int
    classes: tuple[ClassCount, ...] = ()
    because: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    findings: tuple[Finding, ...] = ()
    split: str = ""
    samples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Source(_Json):
    """The pretrained network. bytes: of its files; because: why this one, in words."""

    name: str
    architecture: str
    licence: str
    asserted_by: str
    upstream: str
    trained_on: str
    bytes: int
    because: str = ""


@dataclass(frozen=True)
class Rung(_Json):
    """One depth that was tried. seconds: what it cost; score with its 95 % interval where known."""

    name: str
    depth: int
    score: float
    seconds: float
    low: float | None = None
    high: float | None = None
    taps: tuple[str, ...] = ()
    chosen: bool = False
    beside: float | None = None


@dataclass(frozen=True)
class Depth(_Json):
    """How deep the run went.

    Attributes:
        chosen: blocks that learned, counted from the head.
        rule: why it stopped there, in words.
        curve: depths that were tried; `beside` is the score of the depth above on the same rows.
        layers: heads on each layer and on joins of layers, at depth 1.
    """

    chosen: int
    blocks: tuple[str, ...]
    taps: tuple[str, ...] = ()
    rule: str = ""
    curve: tuple[Rung, ...] = ()
    layers: tuple[Rung, ...] = ()


@dataclass(frozen=True)
class Score(_Json):
    """The figure on examples that no choice has seen. n: of those examples; where: which they were."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    where: str = ""


@dataclass(frozen=True)
class Also(_Json):
    """Another measure on the same examples."""

    metric: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Rival(_Json):
    """Another way to the same task, in the metric and on the examples of the score. seconds: None if not measured."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    seconds: float | None = None
    what: str = ""


@dataclass(frozen=True)
class Bin(_Json):
    """Answers of similar confidence: their mean confidence, the share that was right, how many."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Calibration(_Json):
    """Whether a confidence of 0.9 means 9 of 10 right. error: expected calibration error, 0..1."""

    error: float
    temperature: float | None = None
    bins: tuple[Bin, ...] = ()


@dataclass(frozen=True)
class Stage(_Json):
    """One part of the run. memory_mb: the peak of the process up to its end."""

    name: str
    seconds: float
    memory_mb: float | None = None


@dataclass(frozen=True)
class Way(_Json):
    """One way to a head for a target without labels, as it looks without them.

    Attributes:
        name: in words.
        source: the metric on held-out rows of the labelled data.
        agreement: share of the target's rows answered as most ways answer.
        information: how sure and spread its answers are, 0..1.
        refused: why it may not be taken; empty where it may.
        chosen: whether it was taken.
    """

    name: str
    source: float
    agreement: float
    information: float
    refused: str = ""
    chosen: bool = False


@dataclass(frozen=True)
class Adaptation(_Json):
    """A head made for data without labels.

    Attributes:
        path: of that data.
        rows: in it.
        way: in words; adapted: whether that is more than the head as it was.
        rule: why.
        ways: all that were tried.
        before, after: the metric there without and with it, where that data has labels after all; they chose nothing.
    """

    path: str
    rows: int
    way: str
    adapted: bool
    rule: str
    ways: tuple[Way, ...] = ()
    before: Also | None = None
    after: Also | None = None


@dataclass(frozen=True)
class Layer(_Json):
    """How alike a block's pooled outputs are before and after tuning.

    Attributes:
        name: of the block.
        new: linear CKA on the new data, 0..1; 1 is the same but for a turn and a scale.
        probe: the same on the built-in probe set; None where it was not measured.

    Reference:
        Kornblith et al., 2019, arXiv:1905.00414, section 3.
    """

    name: str
    new: float
    probe: float | None


@dataclass(frozen=True)
class Mix(_Json):
    """One mixture of the weights before (share 0) and after tuning (share 1).

    Attributes:
        share: of the weights after tuning, 0..1.
        old, new: scores of the old task and of the new one; old is None without data of the old task.
        chosen: whether the skill has these weights.
    """

    share: float
    old: Also | None
    new: Also
    chosen: bool


@dataclass(frozen=True)
class Guarded(_Json):
    """A guard against forgetting that was tried. name: empty for none; old, new: as of `Mix`; seconds: that it took."""

    name: str
    strength: float
    old: Also | None
    new: Also
    seconds: float
    chosen: bool


@dataclass(frozen=True)
class Kept(_Json):
    """What a fit that goes deeper than the head kept of what the network could do before.

    Attributes:
        guard, strength: against forgetting; an empty guard is none.
        limit: most that may be lost of the old task, in its metric; None where none was set.
        rule: why this guard, in words.
        path, rows: of the old task's data; empty and 0 where none was given.
        before, after: score of the old head there, with the weights before and after tuning.
        lost: their difference on the same rows; above 0 is worse.
        gain: of the new task over a new head alone, on the judged rows; above 0 is better.
        agreement: share of the new data that the old head answers as before, 0..1.
        probe_agreement: the same on the built-in probe set.
        old_head: in words which head that is; empty where there is none.
        layers: nearest the input first.
        mixes, tried: all that were measured.
    """

    guard: str
    strength: float
    limit: float | None
    rule: str
    path: str
    rows: int
    before: Also | None
    after: Also | None
    lost: Also | None
    gain: Also | None
    agreement: float | None
    probe_agreement: float | None
    old_head: str
    layers: tuple[Layer, ...]
    mixes: tuple[Mix, ...]
    tried: tuple[Guarded, ...]


@dataclass(frozen=True)
class Foretold(_Json):
    """What a plan said of the fit that follows it.

    Attributes:
        name: score, seconds, memory_mb or joules.
        value: that was to be expected.
        low, high: that hold what happens with 90 %.
        happened: what came of it; None where it was not measured.
    """

    name: str
    value: float
    low: float
    high: float
    happened: float | None = None

    @property
    def held(self) -> bool | None:
        """Whether what happened is within the range."""
        return None if self.happened is None else self.low <= self.happened <= self.high


@dataclass(frozen=True)
class Record(_Json):
    """One run, whole; its JSON form is metrics.json.

    Attributes:
        created: ISO 8601 time.
        confusion: rows are truths, columns answers, in the order of data.classes; None for other tasks.
        scatter: (truth, answer) pairs of a task on numbers; None for other tasks.
        joules: of energy; energy: whether they were measured or estimated, and how.
        mistakes: worst first. suspicious: examples whose given label is doubted, most doubted first.
    """

    headstart: str
    created: str
    command: str
    seed: int
    machine: Machine
    data: Data
    source: Source | None = None
    depth: Depth | None = None
    score: Score | None = None
    also: tuple[Also, ...] = ()
    against: tuple[Rival, ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    scatter: tuple[tuple[float, ...], ...] | None = None
    calibration: Calibration | None = None
    mistakes: tuple[Example, ...] = ()
    suspicious: tuple[Example, ...] = ()
    stages: tuple[Stage, ...] = ()
    seconds: float | None = None
    memory_mb: float | None = None
    foretold: tuple[Foretold, ...] = ()
    adaptation: Adaptation | None = None
    kept: Kept | None = None
    joules: float | None = None
    energy: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise DataError(
                f"This record has format {self.format}; this version reads {FORMAT}. Use the version that wrote it."
            )
        sizes = {len(self.data.classes)} if self.confusion else set()
        sizes |= {len(row) for row in self.confusion or ()} | ({len(self.confusion)} if self.confusion else set())
        if len(sizes) > 1:
            raise DataError(
                f"The confusion has lengths {sorted(sizes)}; give one row and one column for each of the classes."
            )


def _plain(value: object) -> object:
    """The value as the json module takes it."""
    if isinstance(value, _Json):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value


def _read(kind: object, value: object, where: str) -> object:
    """The value as the annotated kind; `where` is the path to it, for messages."""
    parts, origin = get_args(kind), get_origin(kind)
    if origin in (UnionType, Union):
        return None if value is None else _read(parts[0], value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(parts[0], inner, f"{where}[{row}]") for row, inner in enumerate(value))
    if origin is Mapping and isinstance(value, Mapping):
        return {str(key): _read(parts[1], inner, f"{where}.{key}") for key, inner in value.items()}
    if isinstance(kind, type):
        if is_dataclass(kind) and isinstance(value, Mapping):
            return _read_fields(kind, value, where)
        # bool is an int to isinstance, and a whole float is written without its point by some writers
        if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
            return value
    wanted = kind.__name__ if isinstance(kind, type) else str(kind)
    raise DataError(f"{where} is {str(value)[:60]!r}; it must be of type {wanted}. Write the record again.")


def _read_fields(kind: type, value: Mapping[str, object], where: str) -> object:
    """A dataclass from a mapping that has its fields, no more and, but for those with defaults, no fewer."""
    known = {part.name: part for part in fields(kind)}
    needed = {n for n, part in known.items() if part.default is MISSING and part.default_factory is MISSING}
    missing, unknown = sorted(needed - set(value)), sorted(set(value) - set(known))
    if missing or unknown:
        raise DataError(
            f"{where} lacks {missing} and has {unknown} beyond what is known; allowed are {', '.join(known)}. "
            "Use the version that wrote it, or write the record again."
        )
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], inner, f"{where}.{name}") for name, inner in value.items()})
