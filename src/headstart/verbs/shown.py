"""Examples as a report shows them: small pictures and short texts with what was said of them."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.data.dataset import Dataset
from headstart.report.record import Example

_SIDE = 144  # pixels of a shown picture
_LONG = 400  # characters of a shown text


def examples(data: Dataset, rows: NDArray[np.int64], out: NDArray | None, *, shown: bool) -> tuple[Example, ...]:
    """These rows with their truth and, where there is one, the answer.

    Args:
        out: (rows, c) probabilities, or numbers; None where nothing was answered.
        shown: whether the picture or the text itself may be in the report.
    """
    return tuple(
        Example(
            name=data.names[row],
            truth=None if data.y is None else worded(data, data.y[row]),
            answer=None if out is None else worded(data, answer_of(data.task, out[place])),
            probability=None if out is None or data.task == "numbers" else confidence(data.task, out[place]),
            text=_text(data.inputs[row]) if shown and data.modality == "text" else None,
            picture=_picture(data.inputs[row]) if shown and data.modality == "image" else None,
        )
        for place, row in enumerate(rows)
    )


def answer_of(task: str, out: NDArray) -> NDArray:
    """The decision for one row of probabilities or numbers, in the form of a target."""
    if task == "classes":
        return np.int64(out.argmax())  # type: ignore[return-value]
    return (out >= 0.5).astype(np.float32) if task == "labels" else out


def confidence(task: str, out: NDArray) -> float:
    """Probability of the decision: of the class; for several labels of the least certain of them."""
    return float(out.max()) if task == "classes" else float(np.maximum(out, 1 - out).min())


def worded(data: Dataset, y: NDArray) -> str:
    """A target as a person writes it."""
    if data.task == "classes":
        return data.classes[int(y)]
    if data.task == "labels":
        return " | ".join(name for name, on in zip(data.classes, y, strict=True) if on) or "(none)"
    return ", ".join(f"{number:.4g}" for number in np.atleast_1d(y))


def _text(source: object) -> str:
    text = str(source)
    return text if len(text) <= _LONG else text[: _LONG - 1].rstrip() + "…"


def _picture(source: Path | NDArray) -> str | None:
    """A small JPEG of the picture as a data URI."""
    from PIL import Image

    from headstart.data.pictures import Preparation, load

    pixels = load(source, Preparation(size=_SIDE, crop=1.0))
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
