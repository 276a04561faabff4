"""Whether `fit --forget-at-most` keeps its word, and what that costs: `keeping.py DATA --pairs imdb-emotion,...`.

DATA holds folders: `old/NAME` (an earlier task learns from it), `keep/NAME` (other rows of that task: a part train for
guards and their choice, a part test that no choice sees) and `new/NAME` (what is learned then, with a part test). For
each pair OLD-NEW: a skill of OLD; then NEW from that skill by a new head (depth 1), by a tail without a guard, and by a
tail that may lose at most LIMIT of OLD. `keeping.py --table` prints what is in the results.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from record import add, rows, there, wilson

import headstart as hs
from headstart.places import cache_folder

TEXTS = (
    "imdb-emotion,imdb-irony,sst2-emotion,sst2-hate,emotion-irony,emotion-banking,irony-emotion,hate-emotion,hate-sst2,"
    "banking-emotion,banking-sst2,imdb-banking"
)
PICTURES = (
    "caltech-sketch,caltech-xrays,caltech-digits,digits-sketch,xrays-sketch,digits-art,xrays-digits,digits-cartoon"
)


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("data", nargs="?", type=Path)
    asked.add_argument("--pairs", default=f"{TEXTS},{PICTURES}")
    asked.add_argument("--limit", type=float, default=0.02)
    asked.add_argument("--old-depth", type=int, default=0, help="of the earlier skill; 0 lets its data decide")
    asked.add_argument("--threads", type=int, default=0)
    asked.add_argument("--table", action="store_true")
    given = asked.parse_args()
    if given.table:
        table(given.limit)
        return
    for pair in given.pairs.split(","):
        same = {"pair": pair, "limit": given.limit}
        if not there("keeping", **same):
            with tempfile.TemporaryDirectory() as folder:
                one(given, pair, Path(folder))


def one(given, pair, folder):
    old, new = pair.split("-")
    start = time.perf_counter()

    def fit(data, name, **asked):
        settings = hs.Settings(threads=given.threads, **asked)
        skill = hs.fit(given.data / data, folder / f"{name}.skill", settings=settings, cache=cache_folder())
        return skill, json.loads((skill.folder / "metrics.json").read_text("utf8"))

    began, _ = fit(f"old/{old}", "old", **({"depth": given.old_depth} if given.old_depth else {}))
    source, keep = f"skill:{began.folder}", given.data / f"keep/{old}"
    _, head = fit(f"new/{new}", "head", source=source, depth=1)
    depth = {"text": 7, "image": 5}[began.manifest["modality"]]
    _, plain = fit(f"new/{new}", "plain", source=source, depth=depth, keep=keep)
    _, kept = fit(f"new/{new}", "kept", source=source, depth=depth, keep=keep, forget_at_most=given.limit)
    add(
        "keeping",
        ("pair", "limit"),
        pair=pair,
        limit=given.limit,
        old_depth=began.manifest["depth"],
        depth=depth,
        rows=plain["kept"]["rows"],
        head=head["score"],
        plain={"score": plain["score"], "lost": plain["kept"]["lost"], "seconds": plain["seconds"]},
        kept={
            "score": kept["score"],
            "lost": (kept["kept"] or {}).get("lost"),
            "seconds": kept["seconds"],
            "guard": (kept["kept"] or {}).get("guard"),
            "rule": kept["depth"]["rule"],
            "mixes": (kept["kept"] or {}).get("mixes"),
            "tried": (kept["kept"] or {}).get("tried"),
        },
        wall=time.perf_counter() - start,
        command=f"bench/keeping.py DATA --pairs {pair} --limit {given.limit:g}",
    )


def table(limit):
    found = [row for row in rows("keeping") if row["limit"] == limit]
    held, gains, plain_gains = 0, 0.0, 0.0
    for row in found:
        lost = row["kept"]["lost"]["value"] if row["kept"]["lost"] else 0.0
        gain, best = (row[name]["score"]["value"] - row["head"]["value"] for name in ("kept", "plain"))
        held += lost <= limit
        gains, plain_gains = gains + gain, plain_gains + best
        print(
            f"{row['pair']:18} head {100 * row['head']['value']:.1f}  plain {100 * best:+.1f} lost "
            f"{100 * row['plain']['lost']['value']:+.1f}  kept {100 * gain:+.1f} lost {100 * lost:+.1f} "
            f"{row['kept']['guard'] or ''} {row['wall']:.0f} s"
        )
    low, high = wilson(held / len(found), len(found))
    print(f"limit {100 * limit:g} %: held in {held} of {len(found)} ({100 * low:.0f} to {100 * high:.0f} %); gain kept "
          f"{100 * gains / plain_gains:.0f} % of {100 * plain_gains / len(found):.1f} points")  # fmt: skip


if __name__ == "__main__":
    main()
