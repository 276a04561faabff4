"""What a network saved: read off hand-made curves, and its intervals against Student's and the bootstrap's."""

import math

import numpy as np
import pytest

from headstart.study.points import WITHOUT, points_of, worth_of
from headstart.study.transfer import cost_at, transfer_of
from headstart.study.units import Outcome, Unit

COUNTS = (16, 64, 256)


def outcomes(curves, *, seeds=1, spread=0.0, rows=0.0, seconds=None, joules=None):
    """Outcomes of arm -> score on each of COUNTS.

    Args:
        spread: deviation between seeds, the same for every arm; rows: deviation of the draws over test rows.
        seconds, joules: arm -> cost on each of COUNTS; none is a second, and no joules.
    """
    draw = np.random.default_rng(0)
    shifts = spread * draw.normal(size=seeds)
    rows = rows * draw.normal(size=(2, 200))
    done = []
    for arm, curve in curves.items():
        for place, (count, value) in enumerate(zip(COUNTS, curve, strict=True)):
            for seed in range(seeds):
                score = value + shifts[seed]
                draws = tuple(score + rows[int(arm in WITHOUT)])
                took = seconds[arm][place] if seconds else 1.0
                used = joules[arm][place] if joules else None
                done.append(Outcome(Unit(arm, count, seed), score, took, 1, draws, used, "estimated: so"))
    return done


def found(done, higher=True):
    return transfer_of(done, points_of(done), higher=higher)


CURVES = {"classical": (0.6, 0.7, 0.8), "chosen": (0.7, 0.9, 0.95)}


def test_labels_saved_are_read_off_a_curve_made_by_hand():
    saved = found(outcomes(CURVES))
    (labels, _) = saved.saved
    # 0.8 is half way from 0.7 to 0.9, and half way from 16 to 64 by factors is 32
    assert (saved.arm, saved.rival, saved.score) == ("chosen", "classical", 0.8)
    assert (labels.own, labels.rival) == pytest.approx((32, 256))
    assert labels.share == pytest.approx(1 - 32 / 256)
    assert (labels.low, labels.high) == pytest.approx((labels.share, labels.share))  # nothing is left to chance


def test_time_and_energy_are_those_of_the_labels_that_are_needed():
    costs = {"classical": (1.0, 2.0, 10.0), "chosen": (2.0, 4.0, 40.0)}
    by = {arm: tuple(50 * value for value in own) for arm, own in costs.items()}
    saved = {each.what: each for each in found(outcomes(CURVES, seconds=costs, joules=by)).saved}
    assert (saved["seconds"].own, saved["seconds"].rival) == pytest.approx((3.0, 10.0))
    assert (saved["joules"].own, saved["joules"].rival) == pytest.approx((150.0, 500.0))
    assert saved["joules"].share == pytest.approx(0.7)
    assert saved["joules"].low == pytest.approx(0.7)


def test_where_some_joules_are_not_known_none_are_told():
    done = outcomes(CURVES, joules={"classical": (1.0, 2.0, 3.0), "chosen": (1.0, None, 2.0)})
    assert [each.what for each in found(done).saved] == ["labels", "seconds"]


def test_lower_may_be_better():
    curves = {"classical": (0.4, 0.3, 0.2), "chosen": (0.3, 0.1, 0.05)}
    labels = found(outcomes(curves), higher=False).saved[0]
    assert (labels.own, labels.rival) == pytest.approx((32, 256))


def test_what_is_not_reached_takes_more_than_there_is():
    saved = found(outcomes({"scratch": (0.5, 0.7, 0.9), "classical": (0.5, 0.5, 0.6), "chosen": (0.6, 0.7, 0.8)}))
    labels, seconds = saved.saved
    assert (saved.rival, labels.own, seconds.own) == ("scratch", math.inf, math.inf)
    assert labels.share == -math.inf
    taken = {each.arm: each for each in saved.taken}
    assert (taken["classical"].seconds, taken["chosen"].labels) == (None, math.inf)


def test_the_smallest_budget_may_be_more_than_is_needed():
    taken = {each.arm: each for each in found(outcomes({"classical": (0.5, 0.6, 0.7), "chosen": (0.9,) * 3})).taken}
    assert (taken["chosen"].labels, taken["chosen"].fewest) == (16, True)
    assert not taken["classical"].fewest


def test_the_arm_that_a_fit_takes_is_spoken_of_and_else_the_best():
    curves = {"classical": (0.5, 0.6, 0.7), "probe": (0.8,) * 3, "whole": (0.9,) * 3}
    assert found(outcomes({**curves, "chosen": (0.7,) * 3})).arm == "chosen"
    assert found(outcomes(curves)).arm == "whole"


def test_arms_of_one_kind_have_nothing_to_save():
    assert found(outcomes({"classical": (0.5, 0.6, 0.7)})) is None
    assert found(outcomes({"chosen": (0.5, 0.6, 0.7), "probe": (0.5, 0.6, 0.7)})) is None


def test_what_both_arms_share_does_not_widen_the_interval():
    """Seeds that are hard for all arms move both curves: on straight parallel curves that saves the same."""
    curves = {"classical": (0.6, 0.7, 0.8), "chosen": (0.7, 0.8, 0.9)}
    labels = found(outcomes(curves, seeds=3, spread=0.05)).saved[0]
    assert (labels.low, labels.share, labels.high) == pytest.approx((0.75, 0.75, 0.75), abs=1e-6)


def test_the_interval_of_the_labels_is_that_of_the_score_through_the_slope():
    """On straight curves of equal slope, log(labels saved) is the gain over the slope: its normal interval is known."""
    deviation, slope = 0.004, 0.1 / math.log(4)
    curves = {"classical": (0.6, 0.7, 0.8), "chosen": (0.65, 0.75, 0.85)}
    done = outcomes(curves, rows=deviation)
    labels = found(done).saved[0]
    by_arm = {each.unit.arm: np.array(each.draws) for each in done if each.unit.labels == 256}
    gain = by_arm["chosen"] - by_arm["classical"]
    low, high = (1 - np.exp(-np.quantile(gain, share) / slope) for share in (0.025, 0.975))
    assert labels.share == pytest.approx(1 - math.exp(-0.05 / slope))
    assert (labels.low, labels.high) == pytest.approx((low, high), abs=0.01)


def test_few_seeds_leave_as_much_open_as_students_interval_says():
    """Rival without noise, own curve shifted by its seeds: the interval of the shift is Student's with two freedoms."""
    shifts = np.array([-0.004, 0.001, 0.003])
    done = []
    for arm, curve in {"classical": (0.6, 0.7, 0.8), "chosen": (0.7, 0.8, 0.9)}.items():
        for count, value in zip(COUNTS, curve, strict=True):
            for seed, shift in enumerate(shifts):
                score = value + (shift if arm == "chosen" else 0.0)
                done.append(Outcome(Unit(arm, count, seed), score, 1.0, 1, (score,) * 200))
    labels = found(done).saved[0]
    half = 4.303 * shifts.std(ddof=1) / math.sqrt(3)
    expected = [1 - math.exp(-(0.1 + end) / (0.1 / math.log(4))) for end in (-half, half)]
    assert (labels.low, labels.high) == pytest.approx(expected, rel=0.02)


def test_costs_between_budgets_are_read_off_over_the_logarithm():
    costs = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    wanted = np.array([32.0, 8.0, math.inf])
    assert cost_at(wanted, COUNTS, costs).tolist() == pytest.approx([1.5, 1.0, math.inf])


def test_undefined_draws_are_left_out():
    done = outcomes(CURVES)
    broken = [Outcome(each.unit, each.score, 1.0, 1, (math.nan, *each.draws[1:])) for each in done]
    labels = found(broken).saved[0]
    assert labels.low == pytest.approx(1 - 32 / 256)


def test_points_and_worth_agree_with_the_curves():
    done = outcomes(CURVES, joules={"classical": (1.0, 2.0, 3.0), "chosen": (4.0, 5.0, 6.0)})
    points = points_of(done)
    assert [point.joules for point in points] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert [each.gain for each in worth_of(done, points, higher=True)] == pytest.approx([0.1, 0.2, 0.15])
