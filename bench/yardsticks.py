"""What known sets of pictures give beside a network's statistics: src/headstart/mismatch/references/yardsticks.json.

    python bench/yardsticks.py DATA --source efficientnet-lite0

The first two sets are ordinary photographs, like those that the networks of the catalogue were trained on.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from headstart.mismatch.reference import FOLDER
from headstart.places import cache_folder
from headstart.sources.find import find
from headstart.verbs.familiar import YARDSTICKS, familiar

SETS = {
    "photographs (Caltech-101)": "caltech101",
    "photographs (PACS)": "pacs/photo",
    "paintings (PACS)": "pacs/art_painting",
    "cartoons (PACS)": "pacs/cartoon",
    "sketches (PACS)": "pacs/sketch",
    "MRI of the brain": "brain_tumor_yesno",
    "chest X-rays, 28 pixels (PneumoniaMNIST)": "pneumoniamnist/pneumoniamnist.npz",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--source", default="efficientnet-lite0")
    parser.add_argument("--rows", type=int, default=192)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    found = {}
    for name, folder in SETS.items():
        d = familiar(args.data / folder, source=args.source, rows=args.rows, threads=args.threads).depths
        found[name] = [round(value, 4) for value in (d.first, d.middle, d.last)]
        print(name, found[name], flush=True)
    path = FOLDER / YARDSTICKS
    known = json.loads(path.read_text("utf8")) if path.is_file() else {}
    card = find(args.source, cache_folder())
    known[card.digest] = {
        "source": card.name,
        "rows": args.rows,
        "script": "bench/yardsticks.py",
        "made": datetime.now(UTC).date().isoformat(),
        "sets": found,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n", "utf8")


if __name__ == "__main__":
    main()
