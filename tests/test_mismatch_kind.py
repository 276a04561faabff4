"""The kind of a mismatch, on arrays whose truth is known."""

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.mismatch.kind import Strata, alike, effects, kind_of, ratio_of
from headstart.mismatch.layered import layered
from headstart.mismatch.shares import answers_differ, crossed, differ, estimated


def layers(n, seed, y=None, surface=0.0, early=0.0, late=0.0):
    """A surface of 4 columns and 6 layers of 12; classes, where given, show in the last two."""
    draw = np.random.default_rng(seed)
    out = {"surface": draw.normal(size=(n, 4)) + surface * np.array([1, 0, 0, 0])}
    for k in range(6):
        x = draw.normal(size=(n, 12)) + (late if k > 3 else early)
        if y is not None and k > 3:
            x[:, :3] += 2.0 * np.eye(3)[y]
        out[f"layer{k}"] = x
    return out


def of_classes(shares, n, seed):
    return np.random.default_rng(seed).choice(3, size=n, p=shares)


def test_false_alarms_are_as_rare_as_said():
    """Five layers that say the same and five that do not: one p for all of them is below .1 in a tenth of the draws."""
    ps = []
    for seed in range(120):
        draw = np.random.default_rng(seed)
        a, b = draw.normal(size=(2, 30, 4))
        own = {f"own{k}": draw.normal(size=(2, 30, 4)) for k in range(5)}
        source = {**{f"copy{k}": a for k in range(5)}, **{name: x[0] for name, x in own.items()}}
        target = {**{f"copy{k}": b for k in range(5)}, **{name: x[1] for name, x in own.items()}}
        ps.append(layered(source, target, seed=seed, permutations=99).p)
    # binomial: 120 draws at .1 have 12 expected, 22 and more in 1 of 300 cases
    assert 3 <= np.sum(np.array(ps) <= 0.1) <= 21
    assert 0.4 < np.mean(ps) < 0.62


def test_one_layer_that_differs_among_many_is_found_and_the_others_say_chance():
    a, b = layers(80, 1), layers(80, 2)
    b["layer3"] = b["layer3"] + 1.0
    found = layered(a, b, seed=0, permutations=199)
    assert found.p == 1 / 200
    by_name = {layer.name: layer for layer in found.layers}
    assert by_name["layer3"].accuracy > 0.9
    assert by_name["layer3"].shift == pytest.approx(1.0, abs=0.3)
    assert all(by_name[name].low < 0.5 for name in ("layer0", "layer5"))


def test_a_constant_layer_is_left_out_and_nothing_but_constants_is_refused():
    a, b = layers(30, 1), layers(30, 2)
    still = np.zeros((30, 5))
    assert "dead" not in [layer.name for layer in layered({**a, "dead": still}, {**b, "dead": still}, seed=0).layers]
    with pytest.raises(DataError, match="all 60 rows are equal in every layer"):
        layered({"dead": still}, {"dead": still}, seed=0)


def test_what_comes_first_or_last_decides_between_input_and_feature():
    a = layers(120, 1)
    assert kind_of(a, layers(120, 2)).name == "none"
    moved_first = kind_of(a, layers(120, 2, surface=3.0, early=1.5, late=0.3))
    assert (moved_first.name, moved_first.sure) == ("input", 1.0)
    moved_last = kind_of(a, layers(120, 2, surface=0.3, early=0.3, late=1.5))
    assert (moved_last.name, moved_last.sure) == ("feature", 1.0)


def test_the_ratio_is_that_of_squared_moves():
    a, b = layers(4000, 1), layers(4000, 2, surface=2.0, early=1.0, late=0.5)
    ratio = ratio_of(a, b, 0)
    assert (ratio.surface, ratio.late) == pytest.approx((4.0, 0.25), rel=0.1)
    assert ratio.value == pytest.approx(16, rel=0.1)
    assert ratio.input == 1


def test_only_the_surface_moves_where_the_network_does_not_see_it():
    found = kind_of(layers(120, 1), layers(120, 2, surface=2.0))
    assert (found.name, found.unseen) == ("input", True)


@pytest.mark.parametrize("known", [True, False])
def test_other_shares_of_the_same_classes_are_of_the_output(known):
    y, z = of_classes([0.6, 0.3, 0.1], 250, 3), of_classes([0.1, 0.3, 0.6], 250, 4)
    a, b = layers(250, 5, y), layers(250, 6, z)
    said = crossed(a["layer5"], y, b["layer5"], seed=0)
    shares = np.bincount(z, minlength=3) / 250 if known else estimated(said, 3, seed=0).proportions
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.1)
    strata = Strata(y, z if known else None, shares, (said.source, said.target))
    found = kind_of(a, b, strata=strata)
    assert found.name == "output"
    assert found.within is not None
    assert found.within.p > 0.01
    # without the classes the same rows look like other contents
    assert kind_of(a, b).name == "feature"


def test_other_shares_and_other_contents_are_not_only_of_the_output():
    y, z = of_classes([0.6, 0.3, 0.1], 250, 3), of_classes([0.1, 0.3, 0.6], 250, 4)
    a, b = layers(250, 5, y), layers(250, 6, z, late=1.0)
    strata = Strata(y, z, np.bincount(z, minlength=3) / 250)
    assert kind_of(a, b, strata=strata).name == "feature"


def test_rows_that_are_alike_have_each_class_equally_often():
    y, z = of_classes([0.6, 0.3, 0.1], 200, 3), of_classes([0.1, 0.3, 0.6], 150, 4)
    mine, theirs = alike(Strata(y, z, np.array([0.1, 0.3, 0.6])), 150, 0)
    assert np.array_equal(np.bincount(y[mine]), np.bincount(z[theirs]))
    assert np.array_equal(np.bincount(y[mine]), np.minimum(np.bincount(y), np.bincount(z)))
    mine, theirs = alike(Strata(y, None, np.array([0.1, 0.3, 0.6])), 150, 0)
    assert len(mine) == len(theirs) == len(set(mine)) == len(set(theirs))
    assert np.bincount(y[mine]) / len(mine) == pytest.approx([0.1, 0.3, 0.6], abs=0.06)


def test_heads_say_alike_of_both_sides_without_a_mismatch():
    """Rows are answered by heads without them, so that confidence tells the sides apart no better than chance."""
    ps = []
    for seed in range(30):
        y, z = of_classes([0.5, 0.3, 0.2], 60, seed), of_classes([0.5, 0.3, 0.2], 60, seed + 500)
        said = crossed(layers(60, seed, y)["layer5"], y, layers(60, seed + 900, z)["layer5"], seed=seed)
        ps.append(layered({"a": said.source}, {"a": said.target}, seed=seed, permutations=99).p)
    assert np.sum(np.array(ps) <= 0.1) <= 8  # 3 expected; 9 and more in 1 of 500 cases


def test_counted_shares_differ_as_chi_square_says():
    from scipy.stats import chi2_contingency

    y, z = of_classes([0.5, 0.3, 0.2], 300, 1), of_classes([0.4, 0.35, 0.25], 200, 2)
    table = np.stack([np.bincount(y), np.bincount(z)])
    assert differ(y, z, 3, seed=0, permutations=4000) == pytest.approx(chi2_contingency(table).pvalue, abs=0.03)
    assert differ(y, y, 3, seed=0) == 1.0


def test_answers_differ_as_often_as_chance_says_and_always_where_they_do():
    draw = np.random.default_rng(3)
    same = [answers_differ(*draw.dirichlet([2, 1, 1], (2, 40)), seed=k, permutations=99) for k in range(100)]
    assert 3 <= np.sum(np.array(same) <= 0.1) <= 19  # 10 expected
    assert answers_differ(draw.dirichlet([2, 1, 1], 60), draw.dirichlet([1, 1, 2], 60), seed=0) == 1 / 501


def test_effects_are_in_deviations_within_a_set():
    draw = np.random.default_rng(0)
    a = np.c_[draw.normal(1, 2, 5000), np.full(5000, 3.0)]
    b = np.c_[draw.normal(4, 2, 5000), np.full(5000, 3.0)]
    assert effects(a, b) == pytest.approx([1.5, 0], abs=0.06)


def test_too_few_rows_are_one_sentence():
    with pytest.raises(DataError, match="12 and 12 rows in 7 layers are too few to tell a mismatch from chance; give"):
        kind_of(layers(12, 1), layers(12, 2))
    with pytest.raises(DataError, match="1 class has two rows or more; give two rows of at least two classes"):
        crossed(np.zeros((4, 2)), np.array([0, 0, 0, 1]), np.zeros((4, 2)), seed=0)
