"""Plain modern prose on many subjects, on which perplexity tells whether a model still reads as it did."""

from __future__ import annotations

import json
from pathlib import Path

COUNT = 40  # paragraphs of 60 to 120 words
_FILE = Path(__file__).parent / "general.json"


def general_texts() -> tuple[str, ...]:
    """The paragraphs, written for this project; the same at every call."""
    return tuple(json.loads(_FILE.read_text("utf8")))
