"""A language model as a classifier: what its head reads, and the encoder beside it on the same rows."""

import json

import numpy as np
import pytest
import torch
from networks import small_encoder, write_table
from talkers import small_talker
from transformers import AutoModel

import headstart as hs
from headstart.adapt.held import open_held
from headstart.data.read import read
from headstart.sources.find import find
from headstart.verbs import fit as fitting


def test_a_head_reads_the_mean_of_the_hidden_states_of_every_layer(tmp_path):
    card = find(small_talker(tmp_path / "net"), tmp_path / "cache")
    data = read(write_table(tmp_path / "films.csv", 12))
    held = open_held(card, tmp_path / "cache")
    taps = held.read(data)
    body, letters = AutoModel.from_pretrained(tmp_path / "net"), open_letters(tmp_path / "net")
    for row, text in enumerate(data.texts):
        ids = torch.tensor([letters(text)])
        with torch.no_grad():
            states = body(input_ids=ids, output_hidden_states=True).hidden_states
        for tap, of in ((taps[0], states[0]), (taps[2], states[2]), (taps[-1], states[-1])):
            want = of[0].mean(0).numpy()
            cosine = want @ tap[row] / np.linalg.norm(want) / np.linalg.norm(tap[row])
            assert cosine > 0.995, (row, text)


def open_letters(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_encoder_stands_beside_it_and_answers_as_it_does_alone(tmp_path, monkeypatch):
    table, cache = write_table(tmp_path / "films.csv", 60), tmp_path / "cache"
    monkeypatch.setitem(fitting.DEFAULT_SOURCE, "text", small_encoder(tmp_path / "encoder"))
    settings = hs.Settings(source=small_talker(tmp_path / "net"), depth=1)
    skill = hs.fit(table, tmp_path / "a.skill", settings=settings, cache=cache)
    alone = hs.fit(table, tmp_path / "b.skill", settings=hs.Settings(depth=1), cache=cache)
    beside = json.loads((skill.folder / "metrics.json").read_text())["against"]
    own = json.loads((alone.folder / "metrics.json").read_text())
    encoder = next(each for each in beside if "a new head on file:" in each["name"])
    assert encoder["value"] == pytest.approx(own["score"]["value"])
    assert not any("a new head on" in each["name"] for each in own["against"])
