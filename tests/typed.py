"""A small world to type commands in: a cache, data, a network and a skill, all made here."""

from dataclasses import asdict

import numpy as np
from networks import small_encoder, write_pictures, write_table

from headstart.cli import main as cli
from headstart.core import skill as skills
from headstart.heads.linear import Linear
from headstart.sources.find import find


def small_world(root):
    """A cache, a table of sentences, a folder of pictures, and a skill that knows sentences."""
    write_table(root / "reviews.csv", 60)
    write_pictures(root / "pictures", 24, classes=("bad", "good"))
    card = find(small_encoder(root / "net"), root / "cache")
    draw = np.random.default_rng(0)
    weight = draw.normal(0, 1, (32, 2)).astype(np.float32)
    head = Linear(np.zeros(32, np.float32), np.ones(32, np.float32), weight, np.zeros(2), 1.0, "classes")
    manifest = {"name": "reviews", "modality": "text", "task": "classes", "classes": ["bad", "good"]}
    manifest |= {"metric": "accuracy", "source": asdict(card), "taps": ["layer2"], "depth": 1, "headstart": "0"}
    skills.write(root / "reviews.skill", manifest, head.arrays(), {"README.md": "# Reviews\n"})
    return root


def typing_in(world, folder, capsys, monkeypatch):
    """Type a command in this folder: (exit code, standard output, standard error)."""
    monkeypatch.setenv("HEADSTART_CACHE", str(world / "cache"))
    monkeypatch.chdir(folder)

    def typed(*arguments):
        code = 0
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = stopped.code
        return code, *capsys.readouterr()

    return typed
