"""Guards on answers: the old head, learning without forgetting and replay, by hand and by what defines each."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from retained import TAPS, kept, linear, moved, old_head, step_of
from stacks import KINDS, examples, make
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from headstart.core.evaluate import evaluate, outputs
from headstart.core.examples import from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import Stack, on_h
from headstart.core.task import Classify, Label, Regress
from headstart.errors import DataError, DepthError
from headstart.retain.lwf import LwF, drift
from headstart.retain.old_head import OldHead, answers
from headstart.retain.replay import KEPT, Replay


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_an_old_head_are_those_of_the_fitted_head_on_the_pooled_outputs(kind):
    stack, head = make(kind), old_head(kind)
    state = {name: torch.from_numpy(x) for name, x in examples(kind).read(np.arange(40)).items()}
    with torch.no_grad():
        taps = stack.eval()(state, stop=len(stack) - 1, hear=tuple(TAPS[kind]))
    x = np.concatenate([taps[f"tap.{name}"].numpy() for name in TAPS[kind]], axis=1)
    want = linear(x.shape[1])
    assert (np.abs((x - want.mean) / want.scale) > want.limit).mean() > 0.05  # so that the limit is tried
    now = answers(stack, examples(kind), head, batch=7).double()
    assert_close(now, torch.from_numpy(want.scores(x)), rtol=1e-4, atol=1e-4)
    own = answers(stack, examples(kind), Classify(), batch=7)
    assert torch.equal(own, outputs(stack, examples(kind), batch=7))


def test_taps_of_held_blocks_count_by_row_and_get_no_gradient():
    one, other = torch.randn(6, 2, requires_grad=True), torch.randn(6, 3)
    whole = OldHead(linear(5), {"a": 2, "b": 3})
    part = OldHead(linear(5), {"a": 2, "b": 3}, {"b": other})
    rows = np.array([4, 0, 4])
    assert part.hears == ("a",)
    assert whole.hears == ("a", "b")
    now = part({"a": one[:3]}, rows)
    assert_close(now, whole({"a": one[:3], "b": other[rows]}))
    now.sum().backward()
    assert one.grad[:3].abs().sum() > 0
    assert not list(part.parameters())


def test_old_heads_that_cannot_be_right_are_refused():
    with pytest.raises(DataError, match=r"the old head reads 5 values, the taps are \{'a': 2\}"):
        OldHead(linear(5), {"a": 2})
    with pytest.raises(DataError, match="those held are c"):
        OldHead(linear(5), {"a": 2, "b": 3}, {"c": torch.zeros(2, 2)})
    with pytest.raises(DataError, match="give the rows"):
        OldHead(linear(5), {"a": 2, "b": 3}, {"b": torch.zeros(2, 3)})({"a": torch.zeros(1, 2)})
    held = {"encode": torch.zeros(40, 16)}
    guards = [LwF(torch.zeros(40, 4), old_head("table")), LwF(torch.zeros(40, 4), old_head("table", held))]
    for depth, guard, said in (
        (2, guards[0], "the old head reads encode, which no learning block gives"),
        (3, guards[1], "the outputs of encode were given as held, and depth=3 changes them"),
    ):
        with pytest.raises(DepthError, match=said):
            fit(make("table"), examples("table"), Classify(), Plan(depth), penalties=[guard])


def test_a_held_tap_given_by_row_trains_like_one_that_is_computed():
    """At depth 2 the first block is held: the run with its outputs by row ends where the run that hears it would."""
    stack, data = make("table"), examples("table")
    with torch.no_grad():
        encoded = stack({"h": torch.from_numpy(data.read(np.arange(40))["h"])}, stop=1)["h"]
    now = answers(stack, data, old_head("table"))
    ends = []
    guard = LwF(now, old_head("table", {"encode": encoded}), 5.0)

    def by_hand(step):
        taps = {"encode": step.state["h"], "trunk": step.features}
        return 5 * drift(Classify(), old_head("table")(taps), now[step.rows], 2 * 1.7)

    for penalty in (guard, by_hand):
        stack = make("table")
        fit(stack, data, Classify(), Plan(2, epochs=3, batch=8), penalties=[penalty])
        ends.append(torch.cat([p.detach().flatten() for p in stack.parameters()]))
    assert_close(*ends, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------- learning without forgetting


def test_drift_of_classes_by_hand():
    """The paper's cross-entropy of softened answers, less its minimum, times T^2."""
    (out, then), hot = np.random.default_rng(0).normal(size=(2, 5, 4)) * 3, 2.0

    def soft(z):
        p = np.exp(z) / np.exp(z).sum()
        return p ** (1 / hot) / (p ** (1 / hot)).sum()

    by_hand = 0.0
    for a, b in zip(out, then, strict=True):
        now, kept_ = soft(a), soft(b)
        by_hand += hot**2 * sum(-q * math.log(p) + q * math.log(q) for p, q in zip(now, kept_, strict=True)) / 5
    assert drift(Classify(), torch.from_numpy(out), torch.from_numpy(then), hot).item() == pytest.approx(by_hand)


def test_drift_of_labels_and_numbers_by_hand():
    out, then = np.random.default_rng(0).normal(size=(2, 5, 4)) * 3
    by_hand = 0.0
    for a, b in zip(out.flat, then.flat, strict=True):
        p, q = 1 / (1 + math.exp(-a / 2)), 1 / (1 + math.exp(-b / 2))
        by_hand += 4 * (q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))) / 20
    one, other = torch.from_numpy(out), torch.from_numpy(then)
    assert drift(Label(), one, other, 2.0).item() == pytest.approx(by_hand)
    assert drift(Regress(), one, other, 2.0).item() == pytest.approx(((out - then) ** 2).mean())


@pytest.mark.parametrize("task", ["classes", "labels", "numbers"])
def test_answers_that_have_not_moved_pull_at_nothing(task):
    stack, head = make("table").learn(3).eval(), old_head("table", task=task)
    before = answers(stack, examples("table"), head)
    rows, hear = np.arange(40), tuple(TAPS["table"])
    penalty = LwF(before, head)(step_of(stack, rows, hear=hear))
    penalty.backward()
    assert penalty.item() == pytest.approx(0, abs=1e-6)
    assert all(p.grad is None or p.grad.abs().max() < 1e-5 for p in stack.parameters())
    assert LwF(before, head)(step_of(moved(stack), rows, hear=hear)).item() > 1e-3


def test_the_pull_hardly_hangs_on_the_temperature_where_answers_are_close():
    out, then = torch.randn(200, 4, dtype=torch.float64), torch.randn(200, 4, dtype=torch.float64)
    pulls = [drift(Classify(), then + 0.01 * out, then, hot).item() for hot in (20.0, 200.0)]
    assert pulls[0] == pytest.approx(pulls[1], rel=0.02)


@pytest.mark.parametrize("shared", [True, False])
def test_more_weight_means_that_old_answers_change_less(shared):
    of, drifts = Classify() if shared else old_head("table"), []
    before = answers(make("table"), examples("table"), of)[:, :2]
    for weight in (0.0, 0.3, 3.0, 30.0):
        stack = make("table")
        kept_ = before if shared else answers(make("table"), examples("table"), of)
        guard = LwF(kept_, of, weight)
        fit(stack, examples("table"), Classify(), Plan(3, epochs=15, lr=3e-3), penalties=[guard])
        after = answers(stack, examples("table"), of)[:, : kept_.shape[1]]
        drifts.append(drift(Classify(), after, kept_, 2.0).item())
    assert drifts == sorted(drifts, reverse=True)
    assert drifts[-1] < 0.1 * drifts[0]


# ------------------------------------------------------------------------------------------------ replay


def test_der_by_hand():
    """alpha |z - h(x)|^2 over the outputs plus beta times the cross-entropy, means over the rows drawn."""
    stack, rows = make("table"), np.array([3, 1, 7, 7])
    side = kept("table")
    then = torch.randn(12, 2)
    with torch.no_grad():
        out = stack({"h": torch.from_numpy(side.read(rows)["h"])})["h"].double().numpy()
    by_hand = 0.0
    for row, z in zip(rows, out, strict=True):
        by_hand += 0.4 * sum((z[k] - then[row, k].item()) ** 2 for k in range(2)) / 2 / 4
        by_hand += 1.5 * (math.log(sum(math.exp(v) for v in z)) - z[side.y[row]]) / 4
    step = step_of(stack, np.arange(4), (side, rows))
    assert Replay(weight=1.5, logits=then, alpha=0.4)(step).item() == pytest.approx(by_hand, rel=1e-5)
    alone = Replay(weight=1.5)(step).item() + Replay(weight=0, logits=then, alpha=0.4)(step).item()
    assert alone == pytest.approx(by_hand, rel=1e-5)


def test_replay_of_an_old_head_by_hand():
    stack, rows, side = make("table"), np.array([3, 1, 7]), kept("table")
    encoded = stack({"h": torch.from_numpy(side.read(np.arange(12))["h"])}, stop=1)["h"].detach()
    head = old_head("table", {"encode": encoded})
    with torch.no_grad():
        trunk = stack({"h": encoded[rows]}, start=1, stop=2)["h"]
    scores = linear(32).scores(torch.cat([encoded[rows], trunk], 1).numpy()) / 1.7
    by_hand = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(side.y[rows])).item()
    step = step_of(stack.learn(2), np.arange(4), (side, rows), hear=("trunk",))
    assert Replay(head)(step).item() == pytest.approx(by_hand, rel=1e-4)


def clouds(classes, n=60, seed=0):
    draw = np.random.default_rng(seed)
    centres = np.array([[4, 0], [-4, 0], [0, 4], [0, -4]])
    y = np.repeat(classes, n)
    return from_arrays((centres[y] + draw.normal(size=(len(y), 2))).astype("float32"), y)


def small(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Stack({"body": on_h(nn.Sequential(nn.Linear(2, 16), nn.ReLU())), "head": on_h(nn.Linear(16, 4))})


@pytest.mark.parametrize("logits", [False, True])
def test_classes_that_are_replayed_are_still_known_and_without_it_they_are_not(logits):
    plan, known = Plan(2, epochs=20, lr=0.01), []
    few = clouds([0, 1], 5, seed=1)
    for weight in (0.0, 1.0):
        stack = small()
        fit(stack, clouds([0, 1]), Classify(), plan)
        then = answers(stack, few, Classify())[:, :2] if logits and weight else None
        fit(stack, clouds([2, 3]), Classify(), plan, penalties=[Replay(weight=weight, logits=then)], beside={KEPT: few})
        known.append(evaluate(stack, clouds([0, 1], seed=2), Classify()))
        assert evaluate(stack, clouds([2, 3], seed=2), Classify()) > 0.9
    assert known[0] < 0.5
    assert known[1] > 0.9


def test_more_alpha_means_that_the_kept_logits_change_less():
    few, plan, gaps = clouds([0, 1], 5, seed=1), Plan(2, epochs=20, lr=0.01), []
    start = small()
    fit(start, clouds([0, 1]), Classify(), plan)
    then = answers(start, few, Classify())[:, :2]
    for alpha in (0.0, 0.1, 1.0, 10.0):
        stack = small()
        stack.load_state_dict(start.state_dict())
        guard = Replay(logits=then, alpha=alpha)
        fit(stack, clouds([2, 3]), Classify(), plan, penalties=[guard], beside={KEPT: few})
        gaps.append((answers(stack, few, Classify())[:, :2] - then).pow(2).mean().item())
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 0.1 * gaps[0]


def test_statistics_of_batch_norms_are_those_of_the_new_rows_and_kept_rows_pass_by_them():
    def normed():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Stack(
                {"body": on_h(nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8))), "head": on_h(nn.Linear(8, 4))}
            )

    new, far, still = clouds([2, 3]), clouds([0, 1], 5), Plan(2, epochs=3, lr=1e-12)
    far = replace(far, read=lambda rows: {"h": 1000 + clouds([0, 1], 5).read(rows)["h"]})
    plain, guarded = normed(), normed()
    fit(plain, new, Classify(), still)
    fit(guarded, new, Classify(), still, penalties=[Replay()], beside={KEPT: far})
    for name, tensor in plain.state_dict().items():
        assert_close(guarded.state_dict()[name], tensor)
    step = step_of(guarded.train(), np.arange(4), (far, np.arange(10)), new)
    found = Replay()(step).item()
    with torch.no_grad():
        out = guarded.eval()({"h": torch.from_numpy(far.read(np.arange(10))["h"])})["h"]
    assert found == pytest.approx(F.cross_entropy(out, torch.from_numpy(far.y)).item(), rel=1e-5)
    assert all(module.training for module in guarded.train().modules())


def test_kept_rows_without_targets_are_refused_where_targets_are_learned():
    side = replace(kept("table"), y=None)
    with pytest.raises(DataError, match="the set 'kept' has no targets, and replay learns them"):
        fit(make("table"), examples("table"), Classify(), Plan(2), penalties=[Replay()], beside={KEPT: side})


def test_outputs_beyond_the_old_ones_have_no_share_in_the_old_answers():
    """-sum over old classes of p log q, q among all outputs, less its minimum, by hand; new outputs are pulled down."""
    draw = torch.Generator().manual_seed(2)
    stack, rows = make("table"), np.arange(6)
    kept = torch.randn(40, 2, generator=draw)
    step = step_of(stack, rows)
    p, q = (kept[rows] / 2).softmax(1), (step.out / 2).softmax(1)
    by_hand = 4 * (p * (p.log() - q[:, :2].log())).sum(1).mean()
    guard = LwF(kept, Classify(), beyond=True)
    torch.testing.assert_close(guard(step), by_hand)
    (pull,) = torch.autograd.grad(guard(step), step.out)
    assert (pull[:, 2] > 0).all()  # every step makes the new output smaller
