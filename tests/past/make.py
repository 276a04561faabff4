"""Store skills as this version writes them, for every later version to load: `python tests/past/make.py`.

Writes VERSION/network, VERSION/head, VERSION/tail.zip, VERSION/both.zip and VERSION/answers.json beside this file.
Nothing of an earlier version is touched: what was stored once stays as it was.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # the tests' own networks and sentences

from networks import sentences, small_encoder, write_table  # noqa: E402

from headstart.report.record import Machine  # noqa: E402
from headstart.verbs import record  # noqa: E402
from headstart.verbs.fit import fit  # noqa: E402
from headstart.verbs.merge import merge  # noqa: E402
from headstart.verbs.predict import open_predictor, predict  # noqa: E402
from headstart.verbs.settings import Settings  # noqa: E402
from headstart.verbs.skills import pack  # noqa: E402
from headstart.version import __version__  # noqa: E402

PLACE = "{place}"  # stands for the folder of a version, which is elsewhere on every machine
SMALL = {"hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 32}
TEXTS = [text for text, _ in sentences(8, seed=5)]
HEADS = {"head": None, "tail": None, "both": "head-2"}  # skill -> which head is asked besides the main one


def main():
    """Make the folder of this version."""
    if (HERE / __version__).exists():
        raise SystemExit(f"{HERE / __version__} is there already; a version is stored once")
    record.machine = lambda: Machine("not told", 1, 1.0, "not told", "not told")  # it is nobody's business
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)  # so that the paths in what is written begin here
        made, cache = Path(__version__), Path("cache")
        source, table = small_encoder(made / "network", **SMALL), write_table(Path("films.csv"), 60)
        for kind, depth in (("head", 1), ("tail", 2)):
            settings = Settings(source=source, depth=depth, examples=False, threads=1, budget=20)
            fit(table, made / kind, settings=settings, cache=cache)
        merge([made / "head", made / "head"], made / "both", cache=cache)
        answers = {kind: asked(made / kind, head, cache) for kind, head in HEADS.items()}
        (made / "answers.json").write_text(json.dumps({"texts": TEXTS, "skills": answers}, indent=1) + "\n", "utf8")
        for path in made.glob("*/skill.json"):
            path.write_text(path.read_text("utf8").replace(str(made.absolute()), PLACE), "utf8")
        for kind in ("tail", "both"):  # as archives: they are smaller, and those of the past must unpack too
            pack(made / kind, made / f"{kind}.zip")
            shutil.rmtree(made / kind)
        shutil.copytree(made, HERE / __version__)


def asked(folder, head, cache):
    """Name of the head -> class -> probability, for each text."""
    found = {"": predict(folder, TEXTS, cache=cache)}
    if head is not None:
        found[head] = predict(open_predictor(folder, head=head, cache=cache), TEXTS)
    return {name: [row.all for row in rows] for name, rows in found.items()}


if __name__ == "__main__":
    main()
