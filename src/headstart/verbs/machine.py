"""What a run was made on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from headstart.adapt.costs import memory_of_rows
from headstart.errors import UsageError
from headstart.report.record import Machine
from headstart.units import human

_TOLD = ("headstart", "numpy", "openvino", "torch", "timm", "transformers", "scikit-learn", "tokenizers", "pillow")


def machine() -> Machine:
    """This machine and the versions installed on it; nothing is imported for it."""
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gb=round(_memory() / 2**30, 1),
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        versions={name: found for name in _TOLD if (found := _version(name))},
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text("utf8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 0


def enough_memory(widths: Sequence[int], rows: int, free: int | None) -> None:
    """Refuse a fit whose features alone have no room, before it is begun.

    Args:
        widths: of the pooled outputs.
        rows: to learn from.
        free: bytes, as `free_memory` tells; None refuses nothing.

    Raises:
        UsageError: they would need more than is free.
    """
    each = memory_of_rows(widths) * 1e6
    if free is None or each * rows <= free:
        return
    raise UsageError(
        f"{rows:,} rows need about {human(each * rows)} of memory for their features and {human(free)} are free; "
        f"{int(free / each):,} rows would fit: give fewer, or a network with fewer features."
    )
