"""What work costs in energy: from a counter of the hardware where there is one, else estimated, and always labelled.

Counters and tables are codecarbon's parts below its trackers: those alone read settings, write files and call home.
What runs in a virtual machine sees neither a counter nor how many such machines share the processor: the power of all
its cores would be taken for that of two.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from codecarbon.core.gpu_device import GPUDevice

HINT = "energy is not told: `pip install 'headstart[energy]'` adds it"
MEASURED, ESTIMATED = "measured", "estimated"

_KWH = 3.6e6  # joules


class Meter(Protocol):
    """What was used since it was opened."""

    @property
    def known(self) -> str:
        """`measured: ` or `estimated: ` and how."""
        ...

    def joules(self) -> float:
        """Since it was opened; asked again it is never less."""
        ...


@dataclass(frozen=True)
class Spent:
    """Wall seconds and, where there is a meter, joules."""

    seconds: float
    joules: float | None

    def plus(self, other: Spent) -> Spent:
        """Both; the joules are known where both are."""
        joules = None if self.joules is None or other.joules is None else self.joules + other.joules
        return Spent(self.seconds + other.seconds, joules)


class Clock:
    """Seconds and joules since it was made."""

    def __init__(self, meter: Meter | None) -> None:
        self._meter = meter
        self._start = time.perf_counter()
        self._before = meter.joules() if meter else 0.0

    def spent(self) -> Spent:
        """So far."""
        joules = self._meter.joules() - self._before if self._meter else None
        return Spent(time.perf_counter() - self._start, joules)


@dataclass
class ProcessorShare:
    """Power of the processor by the time that this process had of it: what other programs do does not count.

    Attributes:
        watts: of one hardware thread that is busy; what is idle is not counted.
        known: as of `Meter`.
        clock: processor seconds of this process, all threads together.
    """

    watts: float
    known: str
    clock: Callable[[], float] = time.process_time
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    def joules(self) -> float:
        """As of `Meter`."""
        return self.watts * (self.clock() - self._start)


@dataclass
class Counters:
    """Counters of the hardware, whoever causes what they count.

    Attributes:
        read: kWh since it was last called. Counters start again from 0 after some 260 kJ, so that it must be called
            every quarter of an hour or so under full load.
        known: as of `Meter`.
    """

    read: Callable[[], float]
    known: str
    _sum: float = 0.0

    def __post_init__(self) -> None:
        self.read()

    def joules(self) -> float:
        """As of `Meter`."""
        self._sum += _KWH * self.read()
        return self._sum


@dataclass(frozen=True)
class Together:
    """Several meters as one; it is measured where all are."""

    meters: Sequence[Meter]

    @property
    def known(self) -> str:
        """As of `Meter`."""
        if all(meter.known.startswith(MEASURED) for meter in self.meters):
            return f"{MEASURED}: {' and '.join(meter.known.partition(': ')[2] for meter in self.meters)}"
        return f"{ESTIMATED}: in part ({'; '.join(meter.known for meter in self.meters)})"

    def joules(self) -> float:
        """As of `Meter`."""
        return sum(meter.joules() for meter in self.meters)


def open_meter(device: str = "cpu") -> Meter | None:
    """The best meter of this machine; None where codecarbon is not installed.

    Args:
        device: cuda adds the graphics card that PyTorch uses.
    """
    if find_spec("codecarbon") is None:
        return None
    try:
        processor = _rapl() or _share()
        card = _card() if device == "cuda" else None
    except ImportError:  # one of its many parts is missing: as if all were
        return None
    return Together((processor, card)) if card else processor


def _rapl(folder: str = "/sys/class/powercap/intel-rapl/subsystem") -> Counters | None:
    from codecarbon.core.cpu import IntelRAPL, is_rapl_available
    from codecarbon.core.units import Time

    if not is_rapl_available(folder) or not Path(folder).exists():  # it looks into the folders around it too
        return None
    counter = IntelRAPL(rapl_dir=folder)
    counter.start()

    def read() -> float:
        told = counter.get_cpu_details(Time(seconds=1.0))  # the time is for its watts, which nobody reads
        return sum(value for name, value in told.items() if name.startswith("Processor Energy"))

    return Counters(read, f"{MEASURED}: the processor's own counter (RAPL), other programs included")


def _share(cpuinfo: Path = Path("/proc/cpuinfo")) -> ProcessorShare:
    from codecarbon.core.cpu import DEFAULT_POWER_PER_CORE, TDP
    from codecarbon.core.util import count_physical_cpus

    threads, watts = os.cpu_count() or 1, float(DEFAULT_POWER_PER_CORE)
    how = "the usual figure for servers, for a virtual machine does not see the processor's own"
    if not _virtual(cpuinfo):
        found = TDP()
        how = f"the usual figure, for the power of {found.model or 'this processor'} is not in the tables"
        if found.tdp and found.tdp != threads * DEFAULT_POWER_PER_CORE:
            watts = found.tdp * count_physical_cpus() / threads
            how = f"{found.model} with {found.tdp:g} W under full load, over {threads} threads"
    how = f"{watts:.3g} W for each second of a processor's thread ({how}); memory and cooling are not in it"
    return ProcessorShare(watts, f"{ESTIMATED}: {how}")


def _virtual(cpuinfo: Path) -> bool:
    """Whether the system says that it runs in a virtual machine."""
    try:
        said = cpuinfo.read_text("utf8", "replace")
    except OSError:
        return False
    return any("hypervisor" in line.split() for line in said.splitlines() if line.startswith("flags"))


def _card() -> Counters | None:
    """The counter of the graphics card that PyTorch uses first; None where it has none."""
    import torch
    from codecarbon.core.gpu import AllGPUDevices, is_gpu_details_available

    if not (torch.cuda.is_available() and is_gpu_details_available()):
        return None
    wanted = str(torch.cuda.get_device_properties(0).uuid)
    for card in AllGPUDevices().devices:
        if wanted in str(card.get_static_details().get("uuid")) and card.last_energy is not None:
            return _counted(card)
    return None


def _counted(card: GPUDevice) -> Counters:
    from codecarbon.core.units import Time

    card.start()
    how = "the graphics card's own counter, other programs included"
    return Counters(lambda: card.delta(Time(seconds=1.0))["delta_energy_consumption"].kWh, f"{MEASURED}: {how}")
