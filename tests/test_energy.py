"""Energy: joules against power times time, counters that wrap, labels that say how it is known, nothing else said."""

import builtins
import subprocess
import sys
import time

import pytest

from headstart.verbs import energy
from headstart.verbs.energy import Clock, Counters, ProcessorShare, Spent, Together, open_meter


class Held:
    """A meter that a test turns by hand."""

    known = "measured: by hand"

    def __init__(self):
        self.at = 5.0

    def joules(self):
        return self.at


def test_joules_are_watts_times_the_seconds_of_the_processor():
    now = iter((10.0, 12.5, 20.0))
    meter = ProcessorShare(4.0, "estimated: so", clock=lambda: next(now))
    assert [meter.joules(), meter.joules()] == [4.0 * 2.5, 4.0 * 10.0]


def test_a_process_that_waits_takes_nothing_and_one_that_works_what_its_time_says():
    meter = ProcessorShare(4.0, "estimated: so")
    time.sleep(0.2)
    waited = meter.joules()
    start = time.process_time()
    while time.process_time() - start < 0.2:
        pass
    assert waited < 0.2
    assert meter.joules() - waited == pytest.approx(4.0 * 0.2, rel=0.3)


def test_a_clock_tells_what_was_used_since_it_was_made():
    meter = Held()
    clock = Clock(meter)
    meter.at = 8.5
    spent = clock.spent()
    assert spent.joules == 3.5
    assert spent.seconds >= 0
    assert Clock(None).spent().joules is None


def test_sums_are_known_where_all_parts_are():
    assert Spent(1, 2.0).plus(Spent(3, 4.0)) == Spent(4, 6.0)
    assert Spent(1, 2.0).plus(Spent(3, None)) == Spent(4, None)


def test_kilowatt_hours_become_joules_and_add_up():
    read = iter((7.0, 1.0, 0.5))  # what was counted before it was opened is not ours
    meter = Counters(lambda: next(read), "measured: so")
    assert [meter.joules(), meter.joules()] == [3.6e6, 5.4e6]


def test_several_meters_are_measured_only_where_all_are():
    counted, guessed = Counters(lambda: 1.0, "measured: a counter"), ProcessorShare(1.0, "estimated: a guess")
    both = Together((counted, Counters(lambda: 2.0, "measured: another")))
    assert both.known == "measured: a counter and another"
    assert both.joules() == 3 * 3.6e6
    assert Together((counted, guessed)).known == "estimated: in part (measured: a counter; estimated: a guess)"


@pytest.fixture
def counter(tmp_path):
    """The kernel's files of a processor with a counter; turned to so many microjoules."""
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    package = tmp_path / "intel-rapl" / "intel-rapl:0"
    package.mkdir(parents=True)
    (package / "name").write_text("package-0")
    (package / "max_energy_range_uj").write_text("1000000000")

    def turn(microjoules):
        (package / "energy_uj").write_text(str(microjoules))

    turn(900_000_000)
    return tmp_path, turn


def test_the_processors_counter_is_read_and_may_start_again_from_nothing(counter):
    folder, turn = counter
    meter = energy._rapl(str(folder))
    assert meter.known.startswith("measured: ")
    turn(950_000_000)
    assert meter.joules() == pytest.approx(50.0)
    turn(30_000_000)
    assert meter.joules() == pytest.approx(50.0 + 80.0)
    assert energy._rapl(str(folder / "none")) is None


def test_a_virtual_machine_is_not_taken_for_the_whole_processor(tmp_path, monkeypatch):
    """Two cores of 64: the power of all would be 32 times too much."""
    cpu = pytest.importorskip("codecarbon.core.cpu", reason="the energy extra is not installed")
    monkeypatch.setattr(energy.os, "cpu_count", lambda: 128)
    monkeypatch.setattr("codecarbon.core.util.count_physical_cpus", lambda: 2)
    known = type("Known", (), {"tdp": 280.0, "model": "A Processor"})
    monkeypatch.setattr(cpu, "TDP", known)
    info = tmp_path / "cpuinfo"
    info.write_text("model name\t: A Processor\nflags\t\t: fpu sse\n")
    own = energy._share(info)
    assert own.watts == pytest.approx(280.0 * 2 / 128)
    assert "A Processor with 280 W under full load, over 128 threads" in own.known
    info.write_text("model name\t: A Processor\nflags\t\t: fpu hypervisor sse\n")
    shared = energy._share(info)
    assert shared.watts == cpu.DEFAULT_POWER_PER_CORE
    assert "a virtual machine does not see" in shared.known
    assert own.known.startswith("estimated: ")
    assert shared.known.startswith("estimated: ")


def test_the_cards_counter_is_read_from_when_it_was_opened():
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    from codecarbon.core.gpu_device import GPUDevice

    class Card(GPUDevice):
        at = 1_000_000  # millijoules

        def _get_total_energy_consumption(self):
            return self.at

        def _init_static_details(self):
            self._gpu_name, self._uuid, self._power_limit = "a card", "GPU-1", None

    card = Card(handle=None, gpu_index=0)
    card.at = 1_500_000
    meter = energy._counted(card)
    card.at = 1_750_000
    assert meter.joules() == pytest.approx(250.0)
    assert meter.known == "measured: the graphics card's own counter, other programs included"


def test_without_the_extra_there_is_no_meter(monkeypatch):
    monkeypatch.setattr(energy, "find_spec", lambda _: None)
    assert open_meter() is None


def test_an_extra_that_is_not_whole_is_as_none(monkeypatch):
    monkeypatch.setattr(energy, "find_spec", lambda _: object())
    ordinary = builtins.__import__

    def lacking(name, *rest):
        if name.startswith("codecarbon"):
            raise ImportError("no psutil")
        return ordinary(name, *rest)

    monkeypatch.setattr(builtins, "__import__", lacking)
    assert open_meter() is None


def test_the_meter_calls_nobody_writes_nothing_and_is_silent(tmp_path):
    pytest.importorskip("codecarbon", reason="the energy extra is not installed")
    code = """
import socket, sys, threading
def closed(*_, **__):
    raise SystemExit("a call in this test")
for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, closed)
socket.create_connection = socket.getaddrinfo = closed
from headstart.quiet import hush
hush()
before = threading.active_count()
from headstart.verbs.energy import Clock, open_meter
meter = open_meter()
clock = Clock(meter)
sum(n * n for n in range(300_000))
assert clock.spent().joules > 0
assert meter.known.startswith(("measured: ", "estimated: "))
assert threading.active_count() == before
assert "codecarbon.core.api_client" not in sys.modules
"""
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=home)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
