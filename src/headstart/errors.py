"""Every error that this package raises on purpose.

    HeadstartError
    ├── DepthError   (ValueError)   a depth or a cut that the stack does not have
    ├── PlanError    (ValueError)   a plan with a number outside its range
    ├── DataError    (ValueError)   examples that cannot be used as they are
    ├── StoreError   (RuntimeError) stored activations that cannot be made or read
    ├── SharedError  (ValueError)   a parameter that belongs to blocks on both sides of a cut
    ├── SourceError  (ValueError)   a pretrained network that is unknown, cannot be fetched or is not what it was
    ├── TrainingError (RuntimeError) a run that cannot go on: a loss that is no number, or too little memory
    ├── EngineError  (RuntimeError) a network that the fast engine cannot run as PyTorch does
    ├── SkillError   (ValueError)   a skill folder that is not whole, was changed or was made by a newer version
    └── UsageError   (ValueError)   an option or argument of a verb that cannot be followed

The type tells a program what happened; the text tells a person what was seen, what is allowed and what to do.
"""


class HeadstartError(Exception):
    """Base of every error this package raises on purpose."""


class DepthError(HeadstartError, ValueError):
    """A depth or a cut that the stack does not have."""


class PlanError(HeadstartError, ValueError):
    """A plan with a number outside its range."""


class DataError(HeadstartError, ValueError):
    """Examples that cannot be used as they are."""


class StoreError(HeadstartError, RuntimeError):
    """Stored activations that cannot be made or read."""


class SharedError(HeadstartError, ValueError):
    """A parameter that belongs to blocks on both sides of a cut."""


class SourceError(HeadstartError, ValueError):
    """A pretrained network that is unknown, cannot be fetched or is not what its card says."""


class TrainingError(HeadstartError, RuntimeError):
    """A run that cannot go on: a loss that is no number, or too little memory."""


class EngineError(HeadstartError, RuntimeError):
    """A network that the fast engine cannot run, or runs otherwise than PyTorch does."""


class SkillError(HeadstartError, ValueError):
    """A skill folder that is not whole, was changed or was made by a newer version."""


class UsageError(HeadstartError, ValueError):
    """An option or argument of a verb that cannot be followed."""
