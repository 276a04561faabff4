"""How many threads of the CPU a verb may use, wherever they are started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Linear algebra and PyTorch with at most so many threads inside; as before afterwards.

    PyTorch that is imported inside is limited by who imports it: it must not be imported for this alone.

    Args:
        threads: 0 leaves everything as it is.
    """
    if not threads:
        yield
        return
    import sklearn.linear_model  # noqa: F401  brings pools of its own and SciPy's: only what is loaded can be limited
    from threadpoolctl import threadpool_limits

    before = _torch_threads()
    try:
        with threadpool_limits(threads):
            _limit_torch(threads)
            yield
    finally:
        _limit_torch(before)


def _torch_threads() -> int:
    """PyTorch's threads, or those that it would take when it is imported."""
    if "torch" not in sys.modules:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    import torch

    return torch.get_num_threads()


def _limit_torch(threads: int) -> None:
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
