"""What a network gives for data like that it was trained on, in a small file: for networks that keep no statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.mismatch import checks

FOLDER = Path(__file__).parent / "references"
RANK = 48  # directions of each layer that are kept
_QUANTILES = np.linspace(0, 1, 201)
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Layer:
    """Moments of one layer's features.

    Attributes:
        mean, var: (d,).
        basis: (k, d) directions of most variance of the standardised features, orthonormal but for rounding.
        values: (k,) their variances; rest: mean variance of all others.
        quantiles: of `unusual` for rows that were not learned from, at even distances from 0 to 1.
        rows: behind the moments.
    """

    mean: NDArray[np.float64]
    var: NDArray[np.float64]
    basis: NDArray[np.float64]
    values: NDArray[np.float64]
    rest: float
    quantiles: NDArray[np.float64]
    rows: int

    def unusual(self, x: NDArray) -> NDArray[np.float64]:
        """(n,) Mahalanobis distances over the root of the number of features; about 1 for what is usual.

        Variance beyond the kept directions is taken to be the same in all of them (probabilistic PCA).

        Reference:
            Tipping and Bishop, 1999, doi:10.1111/1467-9868.00196, equation 7.
        """
        z = (x - self.mean) / np.sqrt(np.maximum(self.var, 1e-12))
        inside = z @ self.basis.T
        over = np.maximum((z**2).sum(1) - (inside**2).sum(1), 0)
        return np.sqrt(((inside**2 / self.values).sum(1) + over / self.rest) / z.shape[1])

    def rank(self, x: NDArray) -> NDArray[np.float64]:
        """(n,) share of the reference's rows that are nearer, 0..1."""
        return np.interp(self.unusual(x), self.quantiles, _QUANTILES)


@dataclass(frozen=True, eq=False)
class Reference:
    """Layers by name, input first, and what they were made from."""

    layers: Mapping[str, Layer]
    about: Mapping[str, object]


def layer_of(x: NDArray, held: NDArray, rank: int = RANK) -> Layer:
    """Moments of (n, d) features, with the distances of (m, d) others.

    Raises:
        DataError: fewer rows than features, for then the last directions have no variance.
    """
    x, held = checks.pair(x, held, 20)
    n, d = x.shape
    if n <= d or rank >= d:
        raise DataError(
            f"{n} rows of {d} features with {rank} directions; give more rows than features, fewer directions."
        )
    mean, var = x.mean(0, dtype=np.float64), x.var(0, ddof=1, dtype=np.float64)
    z = (x - mean) / np.sqrt(np.maximum(var, 1e-12))
    values, basis = np.linalg.eigh(z.T @ z / (n - 1))
    top = slice(d - rank, d)
    layer = Layer(mean, var, basis[:, top].T[::-1], values[top][::-1], float(values[: d - rank].mean()), _QUANTILES, n)
    return Layer(**{**vars(layer), "quantiles": np.quantile(layer.unusual(held), _QUANTILES)})


def save(reference: Reference, path: Path) -> None:
    """Some hundred kilobytes: directions with 8 bits for a number, moments with 32."""
    arrays: dict[str, NDArray] = {"about": np.array(json.dumps({**reference.about, "format": _FORMAT}))}
    for name, layer in reference.layers.items():
        scale = np.abs(layer.basis).max(1)
        arrays[f"{name}.basis"] = np.round(127 * layer.basis / scale[:, None]).astype(np.int8)
        arrays[f"{name}.scale"] = scale.astype(np.float32)
        for part in ("mean", "var", "values", "quantiles"):
            arrays[f"{name}.{part}"] = getattr(layer, part).astype(np.float32)
        arrays[f"{name}.rest"] = np.array([layer.rest, layer.rows], np.float64)
    np.savez_compressed(path, **arrays)  # pyright: ignore[reportArgumentType]


def load(path: Path) -> Reference:
    """What `save` wrote.

    Raises:
        DataError: no such file, or one that was made otherwise.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            names = [name.removesuffix(".mean") for name in file.files if name.endswith(".mean")]
            return Reference({name: _layer({part: file[f"{name}.{part}"] for part in _PARTS}) for name in names}, about)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"the reference '{path}' cannot be read ({error}); make it with bench/references.py.") from None


_PARTS = ("mean", "var", "basis", "scale", "values", "quantiles", "rest")


def _layer(parts: Mapping[str, NDArray]) -> Layer:
    basis = parts["basis"].astype(np.float64) / 127 * parts["scale"].astype(np.float64)[:, None]
    mean, var, values, quantiles = (parts[name].astype(np.float64) for name in ("mean", "var", "values", "quantiles"))
    rest, rows = parts["rest"]
    return Layer(mean, var, basis, values, float(rest), quantiles, int(rows))


def shipped(digest: str) -> Reference | None:
    """The reference that comes with this package for a network of this card's digest; None where there is none."""
    found = (load(path) for path in sorted(FOLDER.glob("*.npz")))
    return next((each for each in found if each.about.get("digest") == digest), None)
