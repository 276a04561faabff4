"""What a user decides of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headstart.adapt.guards import GUARDS
from headstart.core.plan import UPDATES
from headstart.data.dataset import Options
from headstart.errors import UsageError
from headstart.heads.metrics import METRICS
from headstart.report.record import Foretold

NO_GUARD = "none"
DEVICES = ("auto", "cpu", "cuda", "eager")


@dataclass(frozen=True)
class Followed:
    """The plan that a fit follows: what it decided, and what it was made for.

    Attributes:
        decided: names of the settings that it decided, the others having been given otherwise.
        options: task and columns of the data, where the plan says so.
        data: fingerprint of the data that it was made for; empty where it does not say.
        source_digest: of the network that it was made with; empty where it does not say.
        foretold: what it says of the fit.
        path: of its file.
        lines: key -> number of its line.
    """

    decided: frozenset[str] = frozenset()
    options: Options = field(default_factory=Options)
    data: str = ""
    source_digest: str = ""
    foretold: tuple[Foretold, ...] = ()
    path: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)

    def where(self, key: str) -> str:
        """The line of a key, in words."""
        return f"line {self.lines.get(key, 1)} of the plan {self.path!r}"


@dataclass(frozen=True)
class Settings:
    """What a user decides of a fit beside the data's columns; None is what was not given.

    Attributes:
        source: name or locator of the pretrained network; None takes the default of the modality.
        depth: blocks that learn; None lets the data decide.
        metric: that decides and is reported first; None takes the task's default.
        balance: whether classes weigh the same however many rows they have; None is False.
        seed: of every random draw; None is 0.
        threads: of the CPU; 0 takes all.
        device: auto, cpu (the fast engine alone), eager or cuda (PyTorch).
        budget: seconds for going deeper; None leaves it to the rule.
        examples: whether pictures and texts of the data may be in the report.
        scratch: seconds for training the same network from scratch beside it; None leaves that out.
        taps: blocks whose pooled outputs a new head reads; None lets the data decide.
        epochs, lr, batch: of a tail, its rate being that of the head; None leaves them to the recipe.
        adapt_to: data of the same kind, whose labels are not looked at, that the head is made for; None makes none.
        adapt_by: name of a way to it, or of a penalty where a tail learns; None takes the usual one, or lets
            validators choose.
        update: what learns below the head: all, norms or lora; None is all.
        keep: labelled data of what the network could do before.
        guard: of it, while a tail learns; None is none, or what `forget_at_most` chooses.
        guard_strength: of the guard, at least 0; None takes that of the guard.
        forget_at_most: share of the old task's right answers that may be lost, above 0 and below 1.
        remember: whether the skill keeps moments of its features, which an update needs.
        sample: rows whose features are kept beside the moments, for updates to replay and to judge by; 0 keeps none.
        window: tokens of a row that a language model learns from; None lets the data decide.
        resume: whether to go on with a fit of the same place that was interrupted.
        followed: the plan that some of these come from, as `settings_of` gives it.
    """

    source: str | None = None
    depth: int | None = None
    metric: str | None = None
    balance: bool | None = None
    seed: int | None = None
    threads: int = 0
    device: str = "auto"
    budget: float | None = None
    examples: bool = True
    scratch: float | None = None
    taps: tuple[str, ...] | None = None
    epochs: int | None = None
    lr: float | None = None
    batch: int | None = None
    adapt_to: str | Path | None = None
    adapt_by: str | None = None
    update: str | None = None
    keep: str | Path | None = None
    guard: str | None = None
    guard_strength: float | None = None
    forget_at_most: float | None = None
    remember: bool = True
    sample: int = 0
    window: int | None = None
    resume: bool = False
    followed: Followed | None = None

    def __post_init__(self) -> None:
        if self.budget is not None and not 0 < self.budget < float("inf"):
            raise UsageError(f"budget={self.budget:g} s must be above 0; write for example --budget 60s.")
        if self.seed is not None and not 0 <= self.seed < 2**32:
            raise UsageError(f"seed={self.seed} must be from 0 to {2**32 - 1}; write for example --seed 1.")
        if self.threads < 0:
            raise UsageError(f"threads={self.threads} must be 0 (all) or above; write for example --threads 2.")
        if self.depth is not None and self.depth < 1:
            raise UsageError(f"depth={self.depth} must be 1 (a new head) or above; write for example --depth 1.")
        if self.window is not None and self.window < 16:
            raise UsageError(f"window={self.window} must be 16 tokens or more; write for example --window 512.")
        if self.adapt_by is not None and self.adapt_to is None:
            raise UsageError(f"--adapt-by {self.adapt_by} needs data to adapt to; add --adapt-to DATA.")
        if self.adapt_to is not None and not Path(self.adapt_to).exists():
            raise UsageError(f"'{self.adapt_to}' does not exist; give a folder or a table after --adapt-to.")
        self._refuse_guards()
        self._refuse_sample()
        if self.device not in DEVICES:
            raise UsageError(f"device={self.device!r} is not one of {', '.join(DEVICES)}; write --device cpu.")
        if self.metric is not None and self.metric not in METRICS:
            raise UsageError(f"metric {self.metric!r} is unknown; use one of {', '.join(METRICS)}.")

    def _refuse_guards(self) -> None:
        if self.guard is not None and self.guard not in (NO_GUARD, *GUARDS):
            raise UsageError(f"guard {self.guard!r} is unknown; use one of {NO_GUARD}, {', '.join(GUARDS)}.")
        if self.guard_strength is not None and not 0 <= self.guard_strength < float("inf"):
            raise UsageError(f"strength={self.guard_strength:g} must be 0 or above; write for example --strength 1.")
        if self.guard_strength is not None and self.guard in (None, NO_GUARD):
            raise UsageError(f"--strength {self.guard_strength:g} needs a guard; add for example --guard lwf.")
        if self.forget_at_most is not None and not 0 < self.forget_at_most < 1:
            raise UsageError(
                f"forget_at_most={self.forget_at_most:g} must be a share between 0 and 1; write --forget-at-most 1%."
            )
        if self.keep is not None and not Path(self.keep).exists():
            raise UsageError(f"'{self.keep}' does not exist; give labelled data of the old task after --keep.")
        if self.update is not None and self.update not in UPDATES:
            raise UsageError(f"update={self.update!r} is not one of {', '.join(UPDATES)}; write --update all.")

    def _refuse_sample(self) -> None:
        if self.sample < 0:
            raise UsageError(f"sample={self.sample} must be 0 (none) or above; write for example --sample 500.")
        if self.sample and not self.remember:
            raise UsageError(f"--sample {self.sample} lies beside the moments; leave it or --no-moments out.")
        if self.sample and not self.examples:
            raise UsageError(
                f"--sample {self.sample} keeps features of data in the skill, where --no-examples wants none; leave "
                "one of both out."
            )

    @property
    def guarded(self) -> bool:
        """Whether anything was said of what is to be kept."""
        return self.keep is not None or self.guard not in (None, NO_GUARD) or self.forget_at_most is not None

    @property
    def decides(self) -> Mapping[str, object]:
        """What a fit depends on, as JSON values: an interrupted one goes on only with the same."""
        names = ("source", "depth", "metric", "balance", "seed", "budget", "scratch", "taps", "epochs", "lr", "batch")
        more = ("update", "guard", "guard_strength", "forget_at_most")
        said = {name: vars(self)[name] for name in (*names, *more)} | {"keep": str(self.keep)}
        return {**said, "adapt-to": str(self.adapt_to), "adapt-by": self.adapt_by, "threads": self.threads}

    @property
    def rates(self) -> Mapping[str, float]:
        """Those of epochs, lr and batch that are given."""
        given = {"epochs": self.epochs, "lr": self.lr, "batch": self.batch}
        return {name: value for name, value in given.items() if value is not None}
