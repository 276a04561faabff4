"""Drawn tokens against the formulas: probabilities by hand, and counts of many draws against them."""

import numpy as np
import pytest
import torch
from letters import asked, network, speaker
from scipy.stats import chisquare
from torch.testing import assert_close

from headstart.errors import UsageError
from headstart.sources.decoding import Decoding, chances
from headstart.sources.writer import Writer

WAYS = {
    "all": {"temperature": 1.0},
    "cold": {"temperature": 0.6},
    "few": {"temperature": 1.0, "top_k": 5},
    "likely": {"temperature": 1.4, "top_p": 0.7},
    "both": {"temperature": 0.9, "top_k": 8, "top_p": 0.8},
    "penalty": {"temperature": 1.0, "repetition_penalty": 1.8, "top_p": 0.9},
    "once": {"temperature": 1.0, "no_repeat_ngram_size": 1},
}


def formula(z, temperature, top_k=0, top_p=1.0):
    """Token by token, the likeliest first: within the k first, and until the ones before it have top_p."""
    p = np.exp(z / temperature - np.max(z / temperature))
    order = sorted(range(len(p)), key=lambda token: -p[token])[: top_k or len(p)]
    whole, before, kept = sum(p[token] for token in order), 0.0, {}
    for token in order:
        if before < top_p:
            kept[token] = p[token]
        before += p[token] / whole
    return np.array([kept.get(token, 0.0) for token in range(len(p))]) / sum(kept.values())


@pytest.mark.parametrize("spread", [0.01, 1, 8])
@pytest.mark.parametrize("size", [3, 100, 2000])
@pytest.mark.parametrize("top_k", [0, 1, 7, 5000])
@pytest.mark.parametrize("top_p", [1.0, 0.95, 0.5, 1e-6])
def test_the_chances_are_those_of_the_formula(size, spread, top_k, top_p):
    scores = spread * torch.randn(3, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = chances(scores, Decoding(temperature=0.7, top_k=top_k, top_p=top_p))
    want = np.stack([formula(row, 0.7, top_k, top_p) for row in scores.numpy()])
    assert_close(found, torch.from_numpy(want), rtol=1e-9, atol=1e-12)


def test_a_temperature_near_0_is_the_likeliest_token_and_a_high_one_is_chance():
    scores = torch.tensor([[1.0, 3.0, 2.0, -torch.inf]])
    assert chances(scores, Decoding(temperature=1e-300)).tolist() == [[0, 1, 0, 0]]
    assert_close(chances(scores, Decoding(temperature=1e9)).float(), torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0]]))


def expected(net, ids, way, letters):
    """Chance of each (text, tokens, ended) of at most two tokens, by forward passes and the formulas."""

    def after(said):
        with torch.no_grad():
            z = net(input_ids=torch.tensor([[*ids, *said]])).logits[0, -1].double().numpy()
        for token in said:
            z[token] *= (1 / way.get("repetition_penalty", 1)) if z[token] > 0 else way.get("repetition_penalty", 1)
            if way.get("no_repeat_ngram_size"):
                z[token] = -np.inf
        return formula(z, way["temperature"], way.get("top_k", 0), way.get("top_p", 1.0))

    shown = ["", "", "", *letters]
    found: dict[tuple[str, int, bool], float] = {}
    for first, p in enumerate(after([])):
        if first == 2:
            found["", 1, True] = p
            continue
        for second, q in enumerate(after([first]) if p else []):
            key = (shown[first] + shown[second], 2, second == 2)
            found[key] = found.get(key, 0.0) + p * q
    return found


@pytest.mark.parametrize("way", WAYS)
def test_many_seeds_draw_as_often_as_the_formula_says(way):
    letters = "abcdefgh"
    one = speaker(list(letters), template="{% for m in messages %}{{ m['content'] }}{% endfor %}")
    net, turns, total = network(vocabulary=11, spread=0.15), asked("fad"), 6000
    want = expected(net, one.prompt(turns), WAYS[way], letters)
    counts = dict.fromkeys(want, 0)
    for seed in range(12):
        for each in Writer(net, one).write(
            [turns] * (total // 12), Decoding(max_new_tokens=2, seed=seed, **WAYS[way]), batch=total
        ):
            counts[each.text, each.tokens, each.ended] += 1  # a KeyError where it cannot be
    assert sum(want.values()) == pytest.approx(1)
    assert all(want[key] or not count for key, count in counts.items())
    often = [key for key in want if want[key] * total >= 5]
    assert len(often) > 8
    seen = np.array([*(counts[key] for key in often), sum(counts[key] for key in want if key not in often)])
    chance = np.array([*(want[key] for key in often), max(0.0, 1 - sum(want[key] for key in often))])
    there = chance * total >= 1
    assert chisquare(seen[there], chance[there] / chance[there].sum() * seen[there].sum()).pvalue > 1e-3


WRONG = {
    "max_new_tokens=0 is no whole number of 1 or more; give at least 1.": {"max_new_tokens": 0},
    "max_new_tokens=2.5 is no whole number of 1 or more; give at least 1.": {"max_new_tokens": 2.5},
    "top_k=-1 is no whole number of 0 or more; give 0 for all tokens, or how many of the likeliest may be chosen.": {
        "top_k": -1
    },
    "no_repeat_ngram_size=-2 is no whole number of 0 or more; give 0 for none, or how many tokens in a row may not "
    "come twice.": {"no_repeat_ngram_size": -2},
    "seed=-3 is no whole number of 0 or more; give 0 or more.": {"seed": -3},
    "temperature=-0.5 is below 0 or no number; give 0 for the likeliest token each time, or up to about 1 for more "
    "variety.": {"temperature": -0.5},
    "temperature=nan is below 0 or no number; give 0 for the likeliest token each time, or up to about 1 for more "
    "variety.": {"temperature": float("nan")},
    "top_p=0 is outside 0..1; give 1 for all tokens, or 0.9 for the likelier.": {"top_p": 0},
    "top_p=1.2 is outside 0..1; give 1 for all tokens, or 0.9 for the likelier.": {"top_p": 1.2},
    "repetition_penalty=0 is not above 0; give 1 for none, or about 1.1.": {"repetition_penalty": 0},
    "stop='END' is no tuple of words that are not empty; give such as ('END',).": {"stop": "END"},
    "stop=('',) is no tuple of words that are not empty; give such as ('END',).": {"stop": ("",)},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_a_value_outside_its_range_is_one_sentence(sentence):
    with pytest.raises(UsageError) as raised:
        Decoding(**WRONG[sentence])
    assert str(raised.value) == sentence
