"""`inspect A --source NAME`: data beside the statistics that a network keeps, or beside a reference."""

import json

import numpy as np
import pytest
import torch
from networks import small_convnet, small_encoder, write_pictures, write_table
from safetensors.torch import load_file, save_file

from headstart.adapt.inputs import pictures_of
from headstart.adapt.moments import entering
from headstart.cli.main import main
from headstart.data.read import read
from headstart.errors import DataError, UsageError
from headstart.mismatch.norms import Depths, Moved
from headstart.mismatch.reference import Reference, layer_of
from headstart.report import familiar as words
from headstart.report.familiar import Familiar
from headstart.sources.find import find
from headstart.sources.load import load
from headstart.verbs import familiar as verb
from headstart.verbs.differ import look, opened_for
from headstart.verbs.familiar import familiar
from headstart.verbs.watch import Silent


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Pictures, and a network whose norms keep the statistics of exactly these."""
    root = tmp_path_factory.mktemp("familiar")
    pictures = write_pictures(root / "pictures", 40, seed=1)
    source = small_convnet(root / "net")
    card = find(source, root)
    data = pictures_of(read(pictures), card)
    state = load_file(root / "net" / "model.safetensors")
    stack = load(card, root, outputs=2)
    inside = {module: name for name, module in stack._network[0].named_modules()}
    # what enters a norm depends on those before it: after as many rounds as norms all of them are right
    for _ in range(len(entering(stack, data))):
        for norm in entering(stack, data):
            block, _, rest = norm.name.partition(".")
            module, mean = stack.blocks[block].get_submodule(rest), norm.first.mean(0)
            module.running_mean.copy_(torch.tensor(mean))
            module.running_var.copy_(torch.tensor(norm.second.mean(0) - mean**2))
            for moment in ("running_mean", "running_var"):
                state[f"{inside[module]}.{moment}"] = getattr(module, moment).clone()
    save_file(state, root / "net" / "model.safetensors")
    return root, pictures, source


def test_what_enters_a_norm_is_what_the_layer_before_gives(place):
    root, pictures, source = place
    card = find(source, root)
    data = pictures_of(read(pictures), card)
    stack = load(card, root, outputs=2)
    first = entering(stack, data)[0]
    conv = next(module for module in stack.modules() if isinstance(module, torch.nn.Conv2d))
    with torch.no_grad():
        x = conv(torch.from_numpy(data.read(np.arange(len(data)))["h"])).double().numpy()
    assert first.first == pytest.approx(x.mean((2, 3)), abs=1e-5)
    assert first.second == pytest.approx((x**2).mean((2, 3)), rel=1e-4, abs=1e-6)
    assert first.places == x.shape[2] * x.shape[3]


def test_data_that_a_network_was_trained_on_is_at_no_distance_and_other_data_far(place):
    root, pictures, source = place
    own = familiar(pictures, source=source, cache=root)
    # less what chance alone would give: around 0, and below it for the very rows of the statistics
    assert -0.2 < own.distance < 0.05
    other = write_pictures(root / "bright", 40, seed=3, classes=("white", "whiter"))
    for path in other.rglob("*.png"):
        path.write_bytes(inverted(path))
    far = familiar(other, source=source, cache=root)
    assert far.distance > 0.15
    assert far.low > own.high
    assert far.low < far.distance < far.high
    assert far.kind == "unknown"  # no yardsticks for this network
    assert "batch norms of file:" in far.reference


def inverted(path):
    from io import BytesIO

    from PIL import Image, ImageOps

    buffer = BytesIO()
    ImageOps.invert(Image.open(path)).save(buffer, "PNG")
    return buffer.getvalue()


def test_texts_are_compared_with_a_reference_by_their_first_words(tmp_path, monkeypatch):
    source = small_encoder(tmp_path / "net")
    table = write_table(tmp_path / "films.csv", 200, seed=1)
    held = opened_for(source, read(table), tmp_path, 0, "auto", Silent())
    usual = look(held, read(table), tmp_path, Silent(), table)
    layers = {name: layer_of(x[:120], x[120:], rank=8) for name, x in list(usual.layers.items())[1:]}
    about = {"what": "200 reviews", "parts": ["reviews (made)"], "words": 7, "yardsticks": {"reviews": [0.1, 0.1, 0.1]}}
    monkeypatch.setattr(
        verb, "shipped", lambda digest: Reference(layers, about) if digest == held.card.digest else None
    )
    near = familiar(write_table(tmp_path / "near.csv", 100, seed=2), source=source, cache=tmp_path)
    # seven words are the whole of each text; two words more are not seen
    longer = tmp_path / "longer.csv"
    text = (tmp_path / "near.csv").read_text("utf8").replace(",good", " awful awful,good")
    longer.write_text(text.replace(",bad", " awful awful,bad"), "utf8")
    assert familiar(longer, source=source, cache=tmp_path).layers == near.layers
    assert near.distance < 0.3
    assert near.odd is not None
    assert near.odd < 0.2
    one_word = tmp_path / "one.csv"
    one_word.write_text(
        "text,label\n" + "\n".join(f"awful {'dull ' * (k % 5)},{'uv'[k % 2]}" for k in range(60)), "utf8"
    )
    far = familiar(one_word, source=source, cache=tmp_path, rows=60)
    assert far.distance > 5 * max(near.distance, 0.05)
    assert far.odd is not None
    assert far.odd > 0.5
    assert "the first 7 words of 200 reviews (reviews), which stand in for" in far.reference


def known(first, middle, last):
    """A finding with two ordinary sets at a distance of .1 everywhere."""
    return Familiar(
        path="data",
        fingerprint="",
        modality="image",
        rows=100,
        source="net",
        trained_on="photos",
        reference="its statistics",
        layers={"a": Moved(0, 0, first, 3)},
        depths=Depths(first, middle, last, "first"),
        low=0.0,
        high=1.0,
        yardsticks={"one": (0.1, 0.1, 0.1), "two": (0.08, 0.1, 0.1), "sketches": (9.0, 2.0, 2.0)},
        ordinary=("one", "two"),
        odd=None,
        blocks=12,
        notes=(),
        seconds=1.0,
    )


def test_the_kind_is_where_the_data_is_far_beside_ordinary_data():
    assert known(0.1, 0.12, 0.1).kind == "none"
    assert known(5.0, 1.0, 0.9).kind == "input"
    assert known(0.1, 0.2, 0.9).kind == "feature"
    assert known(1.0, 1.0, 0.9).kind == "both"
    assert "`headstart fit data --depth 6`" in words.advice(known(5.0, 1.0, 0.9))[0]
    assert "`headstart fit data --depth 4`" in words.advice(known(0.1, 0.1, 0.9))[0]
    assert "For comparison: two 0.0933; one 0.100; sketches 4.33." in words.evidence(known(0.1, 0.1, 0.1))


def test_bad_input_is_one_sentence(place, tmp_path):
    root, pictures, source = place
    encoder = small_encoder(tmp_path / "encoder")
    with pytest.raises(UsageError, match="reads texts and the data holds pictures; name another"):
        familiar(pictures, source=encoder, cache=root)
    with pytest.raises(UsageError, match=r"keeps no statistics of what it was trained on and no reference of it ships"):
        familiar(write_table(tmp_path / "films.csv", 60), source=encoder, cache=root)
    few = write_pictures(tmp_path / "few", 8)
    with pytest.raises(DataError, match="has 8 examples that can be looked at; give at least 20"):
        familiar(few, source=source, cache=root)


def test_the_command_prints_blocks_or_one_json_object(place, capsys):
    root, pictures, source = place
    typed = ["inspect", str(pictures), "--source", source, "--cache", str(root)]
    main(typed)
    out = capsys.readouterr().out
    assert "has no yardstick for this network" in " ".join(out.split())
    assert "block  " in out
    main([*typed, "--json"])
    assert json.loads(capsys.readouterr().out)["kind"] == "unknown"
    with pytest.raises(SystemExit):
        main([*typed, "-o", "page.html"])
    assert "name the other one with --against" in capsys.readouterr().err
