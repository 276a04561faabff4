"""Libraries that call home or ask a hub behind one's back are told not to, before they are imported."""

from __future__ import annotations

import os
import sys

_SAID = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "true",
    # threads that wait by spinning stall each other for minutes where two programs share two cores
    "OMP_WAIT_POLICY": "PASSIVE",
}


def hush() -> None:
    """Set what each library reads when it is imported; what the user has set stays."""
    for name, value in _SAID.items():
        os.environ.setdefault(name, value)
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its own silent stub is used then
