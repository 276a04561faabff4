"""Sizes and times as people write them."""

from __future__ import annotations

import math
import re

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
JOULES = {"": 1, "j": 1, "kj": 10**3, "wh": 3600, "kwh": 3_600_000}
BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def measured(text: str, units: dict[str, int]) -> float | None:
    """The number times its unit; None for another form, and for what is not finite."""
    match = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*([A-Za-z]*)\s*", text, re.ASCII)
    if match is None or match[2].lower() not in units:
        return None
    number = float(match[1]) * units[match[2].lower()]
    return number if math.isfinite(number) else None


def human(size: float) -> str:
    """Bytes as a person says them: 512 B, 18.8 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB"):
        if size < 999.95:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
