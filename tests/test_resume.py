"""`fit --resume`: a fit that was killed ends in the same skill."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from networks import small_encoder, write_table

import headstart as hs
from headstart.adapt.interrupted import RUNS
from headstart.core import memory
from headstart.core.skill import DELTA
from headstart.data.dataset import Options
from headstart.errors import TrainingError, UsageError
from headstart.verbs.settings import Settings

SCRIPT = """
import sys, time
import headstart as hs
from headstart.adapt.interrupted import Unfinished
from headstart.core.checkpoint import Checkpoint
from headstart.verbs.settings import Settings
often = lambda part: Checkpoint(part.folder, resume=part.run.resume, least=0, share=float("inf"))
Unfinished.checkpoint = property(often)
from headstart.core import fit as loop
one = loop._Training._one
def slowly(self, good):
    one(self, good)
    print("step", flush=True)
    time.sleep(0.01)
loop._Training._one = slowly
data, out, source, cache, resume = sys.argv[1:]
settings = Settings(source=source, depth=3, epochs=2, batch=16, threads=1, resume=resume == "yes")
hs.fit(data, out, settings=settings, cache=__import__("pathlib").Path(cache))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_table(folder / "films.csv", 90)
    return folder, small_encoder(folder / "network")


def start(place, out, resume):
    folder, source = place
    arguments = [str(folder / "films.csv"), str(folder / out), source, str(folder / "cache"), resume]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def test_a_fit_that_is_killed_again_and_again_ends_in_the_same_bytes(place):
    folder, _ = place
    said, _ = start(place, "quiet.skill", "no").communicate(timeout=300)
    steps, draw, resume, killed = said.count(b"step"), random.Random(2), "no", 0
    while not (folder / "killed.skill").exists():
        process = start(place, "killed.skill", resume)
        assert process.stdout is not None
        for _ in range(draw.randint(steps // 4, steps // 2)):
            process.stdout.readline()
        time.sleep(draw.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        killed += process.wait() == -signal.SIGKILL
        resume = "yes"
    assert killed >= 2
    assert (folder / "killed.skill" / DELTA).read_bytes() == (folder / "quiet.skill" / DELTA).read_bytes()
    scores = [
        json.loads((folder / name / "metrics.json").read_text())["score"] for name in ("quiet.skill", "killed.skill")
    ]
    assert scores[0] == scores[1]
    assert not list((folder / "cache" / RUNS).iterdir())


def interrupted(place, monkeypatch, settings, out):
    """A fit that stops after some steps."""
    from headstart.core import fit as loop

    folder, _ = place
    one, steps = loop._Training._one, []

    def deadly(self, good):
        steps.append(0)
        if len(steps) == 4:
            raise KeyboardInterrupt
        one(self, good)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Training, "_one", deadly)
        with pytest.raises(KeyboardInterrupt):
            hs.fit(folder / "films.csv", folder / out, settings=settings, cache=folder / "cache")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"depth": 2}, "had depth 3 and now depth is 2"), ({"seed": 5}, "had seed not given and now seed is 5")],
)
def test_another_plan_is_refused_and_nothing_is_lost(place, monkeypatch, change, said):
    folder, source = place
    asked = {"source": source, "depth": 3, "epochs": 2, "batch": 16}
    interrupted(place, monkeypatch, Settings(**asked), "other.skill")
    with pytest.raises(UsageError, match=said):
        hs.fit(
            folder / "films.csv",
            folder / "other.skill",
            settings=Settings(**{**asked, **change}, resume=True),
            cache=folder / "cache",
        )
    skill = hs.fit(
        folder / "films.csv", folder / "other.skill", settings=Settings(**asked, resume=True), cache=folder / "cache"
    )
    assert skill.manifest["depth"] == 3


def test_other_data_is_refused(place, monkeypatch):
    folder, source = place
    asked = Settings(source=source, depth=3, epochs=2, batch=16)
    interrupted(place, monkeypatch, asked, "data.skill")
    write_table(folder / "more.csv", 100, seed=9)
    with pytest.raises(UsageError, match="had data"):
        hs.fit(
            folder / "more.csv",
            folder / "data.skill",
            settings=Settings(source=source, depth=3, epochs=2, batch=16, resume=True),
            options=Options(),
            cache=folder / "cache",
        )


def test_where_nothing_was_interrupted_the_fit_begins_and_says_so(place):
    folder, source = place

    class Heard:
        lines = ()

        def say(self, text):
            self.lines += (text,)

        def progress(self, *_):
            pass

    heard = Heard()
    settings = Settings(source=source, depth=1, resume=True)
    hs.fit(folder / "films.csv", folder / "new.skill", settings=settings, cache=folder / "cache", teller=heard)
    assert any("it starts from the beginning" in line for line in heard.lines)


def test_a_tail_without_room_is_refused_before_it_is_begun(place, monkeypatch):
    folder, source = place
    monkeypatch.setattr("headstart.adapt.tune.free_memory", lambda: 100_000)
    with pytest.raises(
        TrainingError, match=r"training 3 blocks in batches of \d+ needs about .* and 100.0 kB are free"
    ):
        hs.fit(
            folder / "films.csv",
            folder / "big.skill",
            settings=Settings(source=source, depth=3),
            cache=folder / "cache",
        )
    assert not (folder / "big.skill").exists()


def test_where_the_data_decides_a_tail_without_room_is_given_up_and_said(place, monkeypatch):
    folder, source = place
    monkeypatch.setattr("headstart.adapt.tune.free_memory", lambda: 100_000)
    asked = Settings(source=source, budget=60.0)
    skill = hs.fit(folder / "films.csv", folder / "head.skill", settings=asked, cache=folder / "cache")
    assert skill.manifest["depth"] == 1
    assert "was given up: training" in json.loads((skill.folder / "metrics.json").read_text())["depth"]["rule"]


def test_room_for_half_a_batch_divides_it():
    from headstart.core.plan import Plan

    plan = Plan(depth=2, batch=32)
    assert memory.pieces_that_fit(100, 10, plan, 420, divisible=True) == 1
    assert memory.pieces_that_fit(100, 10, plan, 419, divisible=True) == 2
    assert memory.pieces_that_fit(100, 10, plan, 110, divisible=True) == 32
    for free, divisible in ((109, True), (419, False)):
        with pytest.raises(TrainingError, match="use a smaller depth or a smaller batch"):
            memory.pieces_that_fit(100, 10, plan, free, divisible=divisible)
    assert memory.pieces_that_fit(1e12, 1e12, plan, None, divisible=False) == 1


def test_what_a_step_keeps_is_counted():
    """A linear layer keeps its input, tanh its output: four numbers of four bytes each for each unit and example."""
    import numpy as np
    from torch import nn

    from headstart.core.examples import from_arrays
    from headstart.core.plan import Plan
    from headstart.core.stack import Stack, on_h
    from headstart.core.task import Regress

    width = 1000
    layers = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
    stack = Stack({"body": on_h(layers), "head": on_h(nn.Linear(width, 1))})
    data = from_arrays(np.zeros((8, width), "float32"), np.zeros((8, 1), "float32"))
    fixed, each = memory.step_bytes(stack, data, Regress(), Plan(depth=2, batch=8))
    numbers = sum(p.numel() for p in stack.parameters())
    assert 16 * numbers <= fixed <= 16 * numbers * 1.1
    assert 1.5 * 4 * 3 * width <= each <= 1.5 * 4 * 5 * width + 100


if os.name == "nt":
    pytest.skip("signals of POSIX", allow_module_level=True)
