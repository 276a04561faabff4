"""`rank`: networks in the order of what a head on them scores, and how sure that order is."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from networks import BAD, GOOD, sentences, small_convnet, small_encoder, write_pictures, write_table
from safetensors.torch import load_file, save_file

from headstart.adapt.held import Held, open_held
from headstart.core.store import Store
from headstart.data.read import read
from headstart.data.split import split
from headstart.errors import DataError, SourceError, UsageError
from headstart.rank.chances import alike, chances
from headstart.sources.find import find
from headstart.verbs.cache import clear
from headstart.verbs.fit import fit
from headstart.verbs.predict import evaluate
from headstart.verbs.rank import rank
from headstart.verbs.settings import Settings


def blinded(source, folder):
    """The same network, but for it the words that decide are all one word."""
    shutil.copytree(source.removeprefix("file:"), folder)
    state = load_file(folder / "model.safetensors")
    words = state["embeddings.word_embeddings.weight"]
    words[4 : 4 + len(GOOD) + len(BAD)] = words[4].clone()
    save_file(state, folder / "model.safetensors")
    return f"file:{folder}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, an untaught network, and a skill that was taught the same two labels on other rows."""
    root = tmp_path_factory.mktemp("rank")
    source = small_encoder(root / "net")
    settings = Settings(source=source, depth=3, seed=1)
    skill = fit(write_table(root / "earlier.csv", 400, seed=8), root / "taught.skill", settings=settings, cache=root)
    return root, source, f"skill:{skill.folder}"


def test_a_network_that_cannot_tell_the_classes_apart_comes_last(place, tmp_path):
    root, source, _ = place
    blind = blinded(source, tmp_path / "blind")
    found = rank(write_table(tmp_path / "films.csv", 120, seed=5), [blind, source], cache=root)
    assert [each.name for each in found.networks] == [source, blind]
    assert (found.networks[0].best, found.networks[1].best) == (1, 0)
    assert found.networks[1].score < 0.6 < 0.9 < found.networks[0].score
    assert found.networks[1].regret == pytest.approx(found.networks[0].score - found.networks[1].score, abs=0.05)
    assert found.words == f"{source} is the best of these with 100 % probability."


def test_two_of_a_kind_cannot_be_told_apart(place, tmp_path):
    root, source, _ = place
    shutil.copytree(source.removeprefix("file:"), tmp_path / "twin")
    twin = f"file:{tmp_path / 'twin'}"
    found = rank(write_table(tmp_path / "films.csv", 60, seed=6), [twin, source], cache=root)
    assert all(each.best == pytest.approx(0.5, abs=0.1) for each in found.networks)
    assert set(found.alike) == {twin, source}
    assert " cannot be told apart on 60 examples; choosing " in found.words


def test_a_skill_answers_as_it_is_where_it_knows_the_labels(place):
    root, source, skill = place
    table = write_table(root / "same.csv", 60, seed=21)
    by_name = {each.name: each for each in rank(table, [source, skill], cache=root).networks}
    said = evaluate(skill.removeprefix("skill:"), table, cache=root)
    assert by_name[skill].as_it_is == pytest.approx(said["scores"]["accuracy"]["value"])
    assert by_name[source].as_it_is is None
    renamed = root / "other.csv"
    renamed.write_text(table.read_text("utf8").replace(",good", ",yes").replace(",bad", ",no"), "utf8")
    assert rank(renamed, [skill], cache=root).networks[0].as_it_is is None


def test_no_row_of_the_test_part_is_read(place, tmp_path):
    root, source, _ = place
    table = write_table(tmp_path / "many.csv", 600, seed=31)
    rank(table, [source], cache=root, rows=1000)
    data = read(table)
    parts = split(data)
    held = open_held(find(source, root), root)
    stored = held.table(Store(root / "store"))
    assert parts.test is not None
    assert not len(stored.missing([data.keys[row] for row in parts.train]))
    unseen = {data.keys[row] for row in parts.test} - {data.keys[row] for row in parts.train}
    assert len(stored.missing(sorted(unseen))) == len(unseen)


def test_what_was_read_once_is_not_read_again(place, tmp_path, monkeypatch):
    root, source, _ = place
    table = write_table(tmp_path / "films.csv", 80, seed=41)
    first = rank(table, [source], cache=root)
    monkeypatch.setattr(Held, "read", lambda *_, **__: pytest.fail("a row was read again"))
    assert rank(table, [source], cache=root).networks == first.networks


def test_the_layers_do_not_flatter_the_score(place, tmp_path):
    """With labels that mean nothing the best of many layers looks good; chosen on other folds it is a coin."""
    root, source, _ = place
    table = tmp_path / "noise.csv"
    draw = np.random.default_rng(0)
    labels = draw.permutation(["a", "b"] * 60)
    lines = [f"{text},{label}" for (text, _), label in zip(sentences(120, seed=51), labels, strict=True)]
    table.write_text("\n".join(["text,label", *lines]), "utf8")
    one = rank(table, [source], cache=root).networks[0]
    assert one.score <= max(one.layers.values()) + 1e-12
    assert one.low < 0.5 < one.high


def test_the_users_own_skills_are_ranked_and_a_damaged_one_is_left_out(place, tmp_path, monkeypatch):
    root, _, skill = place
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "headstart" / "skills"
    for name in ("good", "damaged"):
        shutil.copytree(skill.removeprefix("skill:"), folder / f"{name}.skill")
    (folder / "damaged.skill" / "delta.safetensors").write_bytes(b"other")
    told = []
    teller = SimpleNamespace(say=told.append, progress=lambda *_: None)
    found = rank(write_table(tmp_path / "films.csv", 40), cache=root, teller=teller)
    assert [each.name for each in found.networks] == [f"skill:{folder / 'good.skill'}"]
    assert any(line.startswith("left out: ") and "is not as it was written" in line for line in told)


def test_how_fast_a_network_reads_is_kept_and_cleared_with_it(place, tmp_path):
    _, source, _ = place
    cache = tmp_path / "cache"
    table = write_table(tmp_path / "films.csv", 60)
    first = rank(table, [source], cache=cache).networks[0]
    assert rank(table, [source], cache=cache).networks[0].rate == first.rate
    clear("all", cache)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_numbers_and_pictures_are_ranked_too(place, tmp_path):
    root, source, _ = place
    table = tmp_path / "scores.csv"
    said = {"bad": 1.25, "good": 4.5}
    rows = [f"{text},{said[label] + k % 7 / 100}" for k, (text, label) in enumerate(sentences(60, seed=61))]
    table.write_text("\n".join(["text,stars", *rows]), "utf8")
    found = rank(table, [source], cache=root)
    assert found.metric == "r2"
    assert found.networks[0].score > 0.5
    pictures = write_pictures(tmp_path / "pictures", 40)
    network = small_convnet(tmp_path / "convnet")
    assert rank(pictures, [network], cache=root).networks[0].score > 0.9


def test_what_cannot_be_ranked_is_one_sentence(place, tmp_path):
    root, source, _ = place
    table = write_table(tmp_path / "films.csv", 40)
    pictures = write_pictures(tmp_path / "pictures", 8)
    with pytest.raises(UsageError, match=r"file:.*net reads texts and the data holds pictures; name another"):
        rank(pictures, [source], cache=root)
    with pytest.raises(UsageError, match=r"metric 'r2' does not suit classes; use one of accuracy, "):
        rank(table, [source], metric="r2", cache=root)
    with pytest.raises(UsageError, match=r"rows=5 are too few to rank by; write for example --rows 1000"):
        rank(table, [source], rows=5, cache=root)
    with pytest.raises(SourceError, match=r"'minilm-l7' is not in the catalogue; did you mean minilm-l6"):
        rank(table, ["minilm-l7"], cache=root)
    one = tmp_path / "one.csv"
    one.write_text("text,label\n" + "a film,good\n" * 30)
    with pytest.raises(DataError, match="there is one class, and two are needed"):
        rank(one, [source], cache=root)


def test_chances_count_who_wins_each_draw():
    draws = np.random.default_rng(0).normal([0.8, 0.79, 0.6], 0.02, (300, 3))
    probability, regret = chances(draws)
    wins = [sum(row[k] == max(row) for row in draws) / 300 for k in range(3)]
    assert np.allclose(probability, wins)
    assert np.allclose(regret, [np.mean([max(row) - row[k] for row in draws]) for k in range(3)])
    lower, lost = chances(-draws, higher=False)
    assert np.allclose(lower, probability)
    assert np.allclose(lost, regret)


def test_what_lies_beyond_the_rows_makes_the_order_less_sure():
    draws = np.tile([0.82, 0.80], (4000, 1))
    assert chances(draws)[0].tolist() == [1, 0]
    # the difference of two normal deviations of .02 is normal with .02 * sqrt(2): P(> -.02) = Phi(.7071)
    assert chances(draws, beyond=0.02)[0][0] == pytest.approx(0.7602, abs=0.02)
    assert chances(np.tile([0.8, 0.8], (10, 1)))[0].tolist() == [0.5, 0.5]


def test_those_that_are_alike_hold_the_best_with_the_probability_asked_for():
    assert alike(np.array([0.01, 0.6, 0.39])).tolist() == [1, 2]
    assert alike(np.array([0.97, 0.02, 0.01])).tolist() == [0]
    assert alike(np.array([0.25, 0.25, 0.25, 0.25])).tolist() == [0, 1, 2, 3]


def test_the_command_prints_a_table_and_the_next_step(place, tmp_path, capsys):
    from headstart.cli.main import main

    root, source, skill = place
    table = write_table(tmp_path / "films.csv", 60, seed=71)
    main(["rank", str(table), "--sources", f"{source},{skill}", "--cache", str(root)])
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:2] == ["network", "accuracy"]
    assert f"{skill} knows these labels: " in out
    assert f"`headstart fit {table} --source " in out
    main(["rank", str(table), "--sources", source, "--cache", str(root), "--estimates", "--json"])
    (only,) = json.loads(capsys.readouterr().out)["networks"]
    assert set(only["estimates"]) == {"knn", "logme", "h_score", "n_leep", "transrate", "sfda", "gbc", "probe"}
