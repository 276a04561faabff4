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
    "CODECARBON_LOG_LEVEL": "critical",
    # POT imports every library that it could compute with; it is given NumPy arrays
    **{f"POT_BACKEND_DISABLE_{name}": "1" for name in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW")},
    # threads that wait by spinning stall each other for minutes where two programs share two cores; those that sleep
    # at once take half as long again to teach a language model, whose steps are thousands of small operations
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "10000",
}


# pools that have no other way to be told, of the readers of tables and of the tokenizers
_POOLS = ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS")


def hush(threads: int = 0) -> None:
    """Set what each library reads when it is imported; what the user has set stays.

    Args:
        threads: most that the pools of tables and tokenizers may start; 0 leaves that to them.
    """
    said = _SAID | (dict.fromkeys(_POOLS, str(threads)) if threads else {})
    for name, value in said.items():
        os.environ.setdefault(name, value)
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its own silent stub is used then
