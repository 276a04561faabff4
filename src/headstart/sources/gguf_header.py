"""What a GGUF file says before its weights: read within the file's bounds, so that a bad file ends in a sentence."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from types import ModuleType

import numpy as np

from headstart.errors import SourceError

Value = str | int | float | bool
_VERSIONS = (2, 3)
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_ALIGNMENT = 32  # of the weights, where the file does not say
_MOST_DIMS = 4


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        values: key -> value, of those that are no arrays.
        lengths: key -> number of values, of those that are.
        shapes: name of a tensor -> its shape, rows first.
    """

    values: Mapping[str, Value]
    lengths: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def architecture(self) -> str:
        """As llama.cpp calls it."""
        return str(self.values.get("general.architecture", ""))

    def number(self, key: str, default: float = 0.0) -> float:
        """A number under the architecture's own prefix."""
        return float(self.values.get(f"{self.architecture}.{key}", default))


def package() -> ModuleType:
    """The gguf package.

    Raises:
        SourceError: it is not installed.
    """
    try:
        import gguf
    except ImportError:
        raise SourceError(
            "GGUF files need the gguf package; install it with pip install 'headstart[language]'."
        ) from None
    return gguf


def header_of(path: Path) -> Header:
    """The header of a file whose weights are all there and can be read.

    Raises:
        SourceError: it is no GGUF file, a part of one, cut off or damaged, or has weights in an unknown form.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror or error}); give the path of a GGUF file."
        ) from error
    with file:
        if file.read(4) != b"GGUF":
            raise SourceError(f"{path.name} is no GGUF file: it does not begin with GGUF; get it anew.")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            try:
                return _read(_Cursor(data), path.name)
            except (struct.error, UnicodeDecodeError, _Beyond) as error:
                raise SourceError(
                    f"{path.name} is cut off or damaged: what it says before its weights cannot be read up to the end "
                    f"of its {len(data)} bytes; get it anew."
                ) from error


class _Beyond(Exception):
    """Something that the file says reaches beyond its end, or is of no kind that there is."""


class _Cursor:
    """A place in the bytes that moves on as they are read."""

    def __init__(self, data: mmap) -> None:
        self.data, self.at = data, 4

    def number(self, kind: int) -> int | float | bool:
        form = f"<{_NUMBERS[kind]}"
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def count(self, kind: int = 10) -> int:
        return int(self.number(kind))

    def skip(self, length: int) -> int:
        """Where `length` bytes that are passed over begin."""
        begin, self.at = self.at, self.at + length
        if self.at > len(self.data):
            raise _Beyond
        return begin

    def string(self) -> str:
        begin = self.skip(self.count())
        return self.data[begin : self.at].decode("utf8")

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.string()
        if kind not in _NUMBERS:
            raise _Beyond
        return self.number(kind)

    def array(self) -> int:
        """Number of values of an array that is passed over."""
        kind, length = self.count(4), self.count()
        if kind == _STRING:
            for _ in range(length):
                self.skip(self.count())
        elif kind in _NUMBERS:
            self.skip(length * struct.calcsize(f"<{_NUMBERS[kind]}"))
        else:
            raise _Beyond
        return length


def _read(cursor: _Cursor, name: str) -> Header:
    version = cursor.count(4)
    if version not in _VERSIONS:
        raise SourceError(f"{name} is GGUF of version {version}, and 2 and 3 are read here; get it in version 3.")
    tensors, pairs = cursor.count(), cursor.count()
    values: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(pairs):
        key, kind = cursor.string(), cursor.count(4)
        if kind == _ARRAY:
            lengths[key] = cursor.array()
        else:
            values[key] = cursor.value(kind)
    if not values.get("general.architecture"):
        raise SourceError(f"{name} does not say of which architecture it is; get it anew.")
    parts = int(values.get("split.count", 1))
    if parts > 1:
        raise SourceError(f"{name} is one of {parts} parts of a network; join them with llama-gguf-split --merge.")
    shapes: dict[str, tuple[int, ...]] = {}
    end = 0
    for _ in range(tensors):
        tensor, dims = cursor.string(), cursor.count(4)
        if dims > _MOST_DIMS:
            raise _Beyond
        shapes[tensor] = tuple(reversed([cursor.count() for _ in range(dims)]))
        kind = cursor.count(4)
        end = max(end, cursor.count() + _size(shapes[tensor], kind, f"{tensor} of {name}"))
    alignment = max(1, int(values.get("general.alignment", _ALIGNMENT)))
    whole = -(-cursor.at // alignment) * alignment + end
    if whole > len(cursor.data):
        raise SourceError(f"{name} is cut off: {len(cursor.data)} of {whole} bytes are there; get it anew.")
    return Header(values, lengths, shapes)


def _size(shape: tuple[int, ...], kind: int, of: str) -> int:
    """Bytes of a tensor.

    Raises:
        SourceError: it is in a form that the gguf package does not know or cannot turn into numbers.
    """
    gguf, form = package(), f"number {kind}"
    try:
        known = gguf.GGMLQuantizationType(kind)
        form = known.name
        values, size = gguf.GGML_QUANT_SIZES[known]
        gguf.dequantize(np.zeros((1, size), np.uint8), known)
    except (ValueError, KeyError, NotImplementedError):
        raise SourceError(
            f"{of} is in a quantisation ({form}) that the gguf package cannot read; upgrade it, or use a file in F16, "
            "Q8_0, Q4_0, Q4_1 or Q4_K."
        ) from None
    return math.prod(shape) // values * size
