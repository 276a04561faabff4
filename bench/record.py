"""Rows of results on disk, each with the machine, the versions and the commit that it came from."""

import json
import math
import os
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from headstart.verbs.machine import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
OURS = ("headstart", "openvino", "torch", "timm", "transformers", "scikit-learn", "pillow")


def rows(bench):
    """Every row of one benchmark so far."""
    return [row for row in _all() if row["bench"] == bench]


def add(bench, same, **values):
    """Add a row in place of an earlier one of the same commit-independent identity.

    Args:
        same: names of the values that say which row it is; the machine always does.
    """
    row = {
        "bench": bench,
        **values,
        "cpu": cpu(),
        "versions": values.get("versions") or {name: version(name) for name in OURS},
        "commit": values.get("commit") or commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    who = ("bench", "cpu", *same)
    kept = [other for other in _all() if any(other.get(name) != row.get(name) for name in who)]
    RESULTS.write_text(json.dumps([*kept, row], indent=1) + "\n", "utf8")
    print(json.dumps({name: value for name, value in row.items() if name != "versions"}), flush=True)


def there(bench, **values):
    """Whether a row with these values is there already, of this machine and this commit."""
    wanted = {**values, "cpu": cpu(), "commit": commit()}
    return any(all(row.get(name) == value for name, value in wanted.items()) for row in rows(bench))


def cpu():
    """This machine in a line."""
    here = machine()
    return f"{here.cpu}, {here.cores} cores, {arithmetic()}"


def commit():
    """The commit of the tree, marked where the package has been changed since."""
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    changed = subprocess.run(["git", "status", "--porcelain", "../src"], capture_output=True, text=True, cwd=HERE)
    return said.stdout.strip() + ("+" if changed.stdout.strip() else "")


def arithmetic():
    """The widest arithmetic of this CPU that matters here."""
    flags = Path("/proc/cpuinfo").read_text("utf8") if Path("/proc/cpuinfo").is_file() else ""
    return next((name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if f" {name}" in flags), "unknown")


def wilson(p, n, z=1.96):
    """95 % interval of a share p of n."""
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def mean_interval(values):
    """Mean and its 95 % interval over draws (Student's t); no interval with one draw."""
    from scipy.stats import t

    values = np.asarray(values, float)
    if len(values) < 2:
        return float(values.mean()), float("nan"), float("nan")
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def cache_for(given):
    """The environment with a cache folder of the benchmark's own."""
    return {**os.environ, "HEADSTART_CACHE": str(given)}


def _all():
    return json.loads(RESULTS.read_text("utf8")) if RESULTS.is_file() else []
