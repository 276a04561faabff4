"""Runs that survive: killed, without room on the disk, without memory, with a loss that is no number."""

import errno
import math
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from stacks import KINDS, examples, make
from torch import nn

from headstart.adapt.align.dann import Dann
from headstart.core import checkpoint as checkpoints
from headstart.core.checkpoint import POINT, Checkpoint
from headstart.core.examples import Examples, from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import Stack, on_h
from headstart.core.task import Classify, Contrast
from headstart.errors import PlanError, TrainingError

WIDTH = {"image": 8, "text": 8, "music": 8, "table": 16, "policy": 16}


class Killed(Exception):
    pass


def often(folder, resume=True):
    """A point after every step."""
    return Checkpoint(folder, resume=resume, least=0, share=math.inf)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def live(kind, seed=7):
    """Examples that are seen in another way at each reading, as pictures cut out at random are."""
    data, draw = examples(kind), np.random.default_rng(seed)

    def read(rows):
        arrays = data.read(rows)
        return {"h": arrays["h"] + draw.normal(size=arrays["h"].shape).astype("float32")}

    return Examples(data.keys, read, data.y, random=draw)


def run(kind, plan, data=None, *, checkpoint=None, die_at=None, beside=False):
    """A run that is as random as runs come: dropout, batch statistics, a penalty with weights that draws rows."""
    stack, steps = make(kind), []

    def deadly(step):
        steps.append(0)
        if len(steps) == die_at:
            raise Killed
        return step.out.new_zeros(())

    penalties = [deadly, Dann(WIDTH[kind])] if beside else [deadly]
    sets = {"target": examples(kind, 30)} if beside else {}
    data = data or examples(kind)
    done = fit(stack, data, Classify(), plan, penalties=penalties, beside=sets, checkpoint=checkpoint)
    return stack, done


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_died_anywhere_ends_in_the_same_weights_bit_for_bit(kind, tmp_path):
    plan = Plan(depth=len(make(kind)), epochs=3, batch=8, schedule="linear", weight_decay=0.01)
    want, whole = run(kind, plan, beside=True)
    for die_at in random.Random(1).sample(range(1, 16), 8):
        point = often(tmp_path / str(die_at))
        with pytest.raises(Killed):
            run(kind, plan, checkpoint=point, die_at=die_at, beside=True)
        torch.manual_seed(die_at)  # the next process has other dice
        got, resumed = run(kind, plan, checkpoint=often(tmp_path / str(die_at)), beside=True)
        assert same(want, got)
        assert resumed.losses == whole.losses
        assert resumed.resumed == die_at - 1
        again, over = run(kind, plan, checkpoint=often(tmp_path / str(die_at)), die_at=1, beside=True)
        assert same(want, again)  # a run that is over has no step left to die at
        assert over.resumed == 15


@pytest.mark.parametrize("kind", ["image", "table"])
def test_random_views_go_on_where_they_were(kind, tmp_path):
    plan = Plan(depth=len(make(kind)), epochs=2, batch=8)
    want, _ = run(kind, plan, live(kind))
    with pytest.raises(Killed):
        run(kind, plan, live(kind), checkpoint=often(tmp_path), die_at=7)
    got, _ = run(kind, plan, live(kind), checkpoint=often(tmp_path))
    assert same(want, got)


def test_a_checkpoint_changes_nothing(tmp_path):
    plan = Plan(depth=3, epochs=2, batch=8)
    want, _ = run("image", plan)
    got, _ = run("image", plan, checkpoint=often(tmp_path))
    assert same(want, got)


SCRIPT = """
import math, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from safetensors.torch import save_file
from stacks import examples, make
from headstart.core.checkpoint import Checkpoint
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.task import Classify
torch.set_num_threads(1)
stack = make("image")
def slowly(step):
    print(f"{step.done}", flush=True)
    time.sleep(0.01)
    return step.out.new_zeros(())
point = Checkpoint(Path(sys.argv[2]), least=0, share=math.inf)
plan = Plan(depth=4, epochs=6, batch=8)
fit(stack, examples("image"), Classify(), plan, penalties=[slowly], checkpoint=point)
save_file(stack.state_dict(), sys.argv[3])
"""


def test_kill_9_again_and_again_gives_the_weights_of_a_quiet_run(tmp_path):
    """Killed at random moments, those of writing a point among them."""
    from safetensors.torch import load_file

    def start(folder, out):
        command = [sys.executable, "-c", SCRIPT, os.path.dirname(__file__), str(tmp_path / folder), str(tmp_path / out)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    start("quiet", "quiet.safetensors").communicate(timeout=120)
    draw, killed = random.Random(5), 0
    for _ in range(30):
        process = start("killed", "killed.safetensors")
        assert process.stdout is not None
        for _ in range(draw.randint(4, 11)):  # as many steps, then some milliseconds more
            process.stdout.readline()
        time.sleep(draw.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        killed += process.wait() == -signal.SIGKILL
        if (tmp_path / "killed.safetensors").exists():
            break
    else:
        start("killed", "killed.safetensors").communicate(timeout=120)
    assert killed >= 2
    want, got = load_file(tmp_path / "quiet.safetensors"), load_file(tmp_path / "killed.safetensors")
    assert all(torch.equal(want[name], got[name]) for name in want)


@pytest.mark.parametrize(
    ("plan", "data", "said"),
    [
        (Plan(depth=2, epochs=2, batch=8), None, "its depth is 3 and here it is 2"),
        (Plan(depth=3, epochs=2, batch=8, lr=0.1), None, "its lr is 0.001 and here it is 0.1"),
        (Plan(depth=3, epochs=2, batch=8), examples("table", 24), "its examples is"),
    ],
)
def test_a_checkpoint_of_another_plan_is_refused(plan, data, said, tmp_path):
    with pytest.raises(Killed):
        run(
            "table",
            Plan(depth=3, epochs=2, batch=8),
            checkpoint=often(tmp_path),
            die_at=5,
        )
    with pytest.raises(PlanError, match=said):
        run("table", plan, data, checkpoint=often(tmp_path))
    run("table", plan, data, checkpoint=often(tmp_path, resume=False))  # anew, as was asked


def test_a_damaged_point_starts_anew(tmp_path):
    plan = Plan(depth=3, epochs=2, batch=8)
    want, _ = run("table", plan)
    (tmp_path / POINT).write_bytes(b"half a")
    got, done = run("table", plan, checkpoint=often(tmp_path))
    assert same(want, got)
    assert done.resumed == 0


def test_a_full_disk_is_waited_for(tmp_path, monkeypatch):
    full, said = [True] * 3, []

    def fsync(_):
        if full and full.pop():
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", fsync)
    waits = []
    point = Checkpoint(tmp_path, least=0, share=math.inf, say=said.append, pause=waits.append)
    want, _ = run("table", Plan(depth=3, epochs=1, batch=8))
    got, _ = run("table", Plan(depth=3, epochs=1, batch=8), checkpoint=point)
    assert same(want, got)
    assert len(waits) == 3
    assert "is full: training waits until" in said[0]
    assert len(said) == 2
    assert [path.name for path in tmp_path.iterdir()] == [POINT]


class Small(nn.Module):
    """A device that holds so many rows at a time."""

    def __init__(self, rows):
        super().__init__()
        self.rows, self.asked = rows, []

    def forward(self, h):
        self.asked.append(len(h))
        if len(h) > self.rows:
            raise torch.OutOfMemoryError("injected")
        return h


def squeezed(rows, task, seed=0):
    """The same network on a device that is large or small."""
    torch.manual_seed(3)
    head = nn.Identity() if task.paired else nn.Linear(16, 3)
    layers = nn.Sequential(nn.Linear(12, 16), nn.LayerNorm(16), nn.Tanh(), nn.Dropout(0.0))
    small = Small(rows)
    stack = Stack({"body": on_h(nn.Sequential(layers, small)), "head": on_h(head)})
    x = np.random.default_rng(0).normal(size=(50, 12)).astype("float32")
    data = from_arrays(x, np.arange(50) % 3)
    done = fit(stack, data, task, Plan(depth=2, epochs=3, batch=16, lr=0.01, seed=seed))
    return stack, done, small


@pytest.mark.parametrize("task", [Classify(), Contrast()])
@pytest.mark.parametrize("rows", [9, 4, 1])
def test_without_memory_the_batch_is_divided_and_the_result_stays(rows, task):
    want, whole, _ = squeezed(100, task)
    got, done, small = squeezed(rows, task)
    assert whole.pieces == 1
    assert done.pieces in (2, 4, 8, 16)
    assert small.asked.count(max(small.asked)) == 1  # what did not fit is not tried again
    np.testing.assert_allclose(done.losses, whole.losses, rtol=1e-5)
    for name, tensor in want.state_dict().items():
        torch.testing.assert_close(got.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_one_example_that_is_too_large_is_one_sentence():
    with pytest.raises(TrainingError, match="one example alone needs more memory than the device has"):
        squeezed(0, Classify())


@pytest.mark.parametrize(("bad_at", "back"), [(13, "of the end of epoch 2"), (2, "from before the first step")])
def test_a_loss_that_is_no_number_goes_back_to_the_last_good_point_and_says_which_batch(bad_at, back):
    plan, steps = Plan(depth=4, epochs=3, batch=8), []  # five batches in an epoch

    def poison(step):
        steps.append(0)
        return step.out.sum() * (float("nan") if len(steps) == bad_at else 0.0)

    stack, good = make("image"), make("image")
    epoch, batch = divmod(bad_at - 1, 5)
    with pytest.raises(TrainingError, match=rf"became nan in epoch {epoch + 1}, batch {batch + 1} .*{back}"):
        fit(stack, examples("image"), Classify(), plan, penalties=[poison])
    # the rate is constant: two epochs of a run of three are a run of two
    fit(good, examples("image"), Classify(), Plan(depth=4, epochs=epoch, batch=8))
    assert same(stack, good)
