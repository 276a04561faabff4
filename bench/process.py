"""Processes under the clock, and folders that they may read, with nothing of an earlier fit in the store."""

import json
import os
import subprocess
import sys
import tempfile
import time

from record import cache_for

from headstart.places import cache_folder

HEADSTART = (sys.executable, "-m", "headstart")
READY = (
    "import sys; from pathlib import Path; from headstart.adapt.held import open_held; "
    "from headstart.sources.find import find; from headstart.sources.fetch import pull; cache = Path(sys.argv[2]); "
    "card = find(sys.argv[1], cache); pull(card, cache); open_held(card, cache)"
)


def timed(command, *, env=None, said=None):
    """Output, wall seconds of the whole process and its peak memory in MB; no output where it failed.

    Args:
        said: what it reads on its standard input.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, tempfile.TemporaryFile("w+") as read:
        read.write(said or "")
        read.seek(0)
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=read, stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        out.seek(0), err.seek(0)
        if status:
            print(err.read()[-1500:], file=sys.stderr)
            return None, wall, 0.0
        # Linux counts what this process held when it started the other: keep torch out of those that measure memory
        return out.read(), wall, usage.ru_maxrss / 1024


def empty_cache(folder, *sources):
    """The environment with an empty store in `folder`, where the files of these networks are and they are compiled."""
    files = cache_folder() / "files"
    files.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "files").symlink_to(files.absolute(), target_is_directory=True)
    for source in sources:
        subprocess.run([sys.executable, "-c", READY, source, str(folder)], check=True)
    return cache_for(folder)


def fitted(data, skill, env, *options):
    """metrics.json of one `headstart fit` with its `wall` and `memory`, or None."""
    out, wall, memory = timed([*HEADSTART, "fit", str(data), "-o", str(skill), "--json", *options], env=env)
    if out is None:
        return None
    return {**json.loads((skill / "metrics.json").read_text("utf8")), "wall": wall, "memory": memory}
