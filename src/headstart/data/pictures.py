"""Pictures of every kind that real folders hold, prepared as a network wants them; on threads, ahead of use."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from headstart.data.pixels import to_plain
from headstart.errors import DataError

AHEAD = 3  # batches that are decoded while the network works on one
DRAFT_MARGIN = 1.5  # a JPEG is decoded at no less than this many pixels per pixel of the scaled picture
DRAFT = f"draft {DRAFT_MARGIN}"
ORIENTATION = 0x0112
TURNS = {  # EXIF orientation -> what makes the picture stand upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
INTERPOLATIONS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
BROKEN = (  # everything that Pillow's readers raise on damaged files
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

Picture = Path | NDArray
Rows = NDArray[np.int64]
Square = tuple[float, float, tuple[float, float]]


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes a network's input.

    Attributes:
        size: side of the square in pixels.
        crop: the side as a part of the shorter side after scaling, in (0, 1].
        mean, std: of the channels on a 0..1 scale; they are applied by the network's engine, not here.
        interpolation: bicubic, bilinear, lanczos or nearest.
        flip: whether fixed views may be mirrored; wrong for letters and digits.

    Raises:
        DataError: a number outside its range.
    """

    size: int = 224
    crop: float = 0.875
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    flip: bool = True

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 < self.crop <= 1:
            raise DataError(
                f"size={self.size}, crop={self.crop}: use a size of 1 or more and a crop above 0 and up to 1."
            )
        if self.interpolation not in INTERPOLATIONS:
            raise DataError(f"interpolation '{self.interpolation}' is unknown; use {', '.join(INTERPOLATIONS)}.")

    @property
    def digest(self) -> str:
        """sha256 of everything that decides the prepared pixels, the decoder included."""
        said = f"{astuple(self)}|Pillow {PIL.__version__}|{DRAFT}"
        return hashlib.sha256(said.encode()).hexdigest()


def load(source: Picture, preparation: Preparation, *, view: int = 0) -> NDArray[np.uint8]:
    """One prepared picture.

    The shorter side is scaled to size / crop and the middle is cut out, in one step of resampling. A fixed view
    above 0 cuts another square and may mirror it; which one follows from the view's number alone.

    Args:
        source: a file, or (h, w) or (h, w, 3) uint8 pixels.
        preparation: size, crop and interpolation.
        view: 0 for the plain picture, else the number of a fixed augmented view.

    Returns:
        (size, size, 3) uint8, RGB. Transparent parts are white, animations give their first frame, grey of more
        than 8 bits is scaled from the picture's own darkest to its brightest value.

    Raises:
        DataError: the file is not there, empty, damaged, truncated, no picture, or too large to be one.
    """
    try:
        if not isinstance(source, Path):
            return _prepare(Image.fromarray(source), preparation, view, 1)
        with Image.open(BytesIO(_bytes(source))) as picture:
            return _prepare(picture, preparation, view, picture.getexif().get(ORIENTATION, 1))
    except BROKEN as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Picture, error: BaseException) -> DataError:
    name = f"'{source}'" if isinstance(source, Path) else f"an array of shape {source.shape}"
    return DataError(f"{name} cannot be read as a picture: {_why(error)}; save it again or leave it out.")


def reason(error: DataError) -> str:
    """Why a picture cannot be read, without its name."""
    return _why(error.__cause__ or error)


def _bytes(path: Path) -> bytes:
    raw = path.read_bytes()
    if not raw:
        raise ValueError("the file is empty (0 bytes)")
    return raw


def _why(error: BaseException) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):
        return "it is no picture, or of a format that is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip().rstrip(".") or type(error).__name__
    return "the file ends too early" if "truncated" in text.lower() else text


def _prepare(picture: Image.Image, preparation: Preparation, view: int, orientation: int) -> NDArray[np.uint8]:
    size = preparation.size
    left, top, side = _as_stored(
        _square(_upright(picture.size, orientation), preparation, view), picture.size, orientation
    )
    sx = sy = 1.0
    if picture.format == "JPEG":
        sx, sy = _draft(picture, side, size)
    box = (left / sx, top / sy, (left + side[0]) / sx, (top + side[1]) / sy)
    plain = to_plain(picture)
    box = (max(box[0], 0), max(box[1], 0), min(box[2], plain.width), min(box[3], plain.height))
    square = plain.resize((size, size), INTERPOLATIONS[preparation.interpolation], box=box)
    if orientation in TURNS:
        square = square.transpose(TURNS[orientation])
    if view % 2 and preparation.flip:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(square.convert("RGB"))


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation in (5, 6, 7, 8) else size


def _as_stored(square: Square, size: tuple[int, int], orientation: int) -> Square:
    """A square of the upright picture, in pixels of the stored one of this size."""
    left, top, side = square
    if orientation in (5, 6, 7, 8):
        left, top, side = top, left, (side[1], side[0])
    if orientation in (2, 3, 7, 8):
        left = size[0] - left - side[0]
    if orientation in (3, 4, 6, 7):
        top = size[1] - top - side[1]
    return left, top, side


def _square(full: tuple[int, int], preparation: Preparation, view: int) -> Square:
    """Left, top and sides of what is cut out, in pixels of the upright picture.

    The plain view is what scaling to whole pixels and then cutting at whole pixels gives.
    """
    width, height = full
    if view:
        draw = np.random.default_rng(view)
        side = draw.uniform(0.7, 1.0) * min(width, height)
        return draw.uniform(0, width - side), draw.uniform(0, height - side), (side, side)
    short = int(preparation.size / preparation.crop)
    wide, high = (short, max(short, short * height // width)) if width <= height else (short * width // height, short)
    left, top = round((wide - preparation.size) / 2), round((high - preparation.size) / 2)
    x, y = width / wide, height / high
    return left * x, top * y, (preparation.size * x, preparation.size * y)


def _draft(picture: Image.Image, side: tuple[float, float], size: int) -> tuple[float, float]:
    """Decode a JPEG at a reduced scale that still leaves DRAFT_MARGIN pixels for each prepared one.

    Returns:
        How many pixels of the full picture one decoded pixel stands for, across and down.
    """
    width, height = picture.size
    fewest = DRAFT_MARGIN * size / min(side)  # decoded pixels per full pixel
    drafted = picture.draft(None, (ceil(width * fewest), ceil(height * fewest)))
    if drafted is None:
        return 1.0, 1.0
    _, (_, _, right, bottom) = drafted
    # the box that Pillow gives is the exact extent of the full picture on the decoded grid
    return width / right, height / bottom


def load_grey(source: Picture, side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The whole picture squeezed into a grey square of `side` pixels, and its true width and height.

    Raises:
        DataError: as `load`.
    """
    try:
        if not isinstance(source, Path):
            return _grey(Image.fromarray(source), side, 1), (source.shape[1], source.shape[0])
        with Image.open(BytesIO(_bytes(source))) as picture:
            size = picture.size
            if picture.format == "JPEG":
                picture.draft("L", (2 * side, 2 * side))
            return _grey(picture, side, picture.getexif().get(ORIENTATION, 1)), size
    except BROKEN as error:
        raise _unreadable(source, error) from error


def _grey(picture: Image.Image, side: int, orientation: int) -> NDArray[np.uint8]:
    plain = to_plain(picture)
    if plain.mode != "L" and min(plain.size) > 4 * side:
        plain = plain.reduce(min(plain.size) // (2 * side))
    square = plain.convert("L").resize((side, side), Image.Resampling.BOX if min(plain.size) > side else None)
    return np.asarray(square.transpose(TURNS[orientation]) if orientation in TURNS else square)


def batches(
    sources: Sequence[Picture],
    preparation: Preparation,
    *,
    batch: int,
    threads: int,
    view: int = 0,
    broken: Callable[[int, str], None] | None = None,
) -> Iterator[tuple[Rows, NDArray[np.uint8]]]:
    """Prepared pictures in order, decoded on threads a few batches ahead of the one in use.

    Args:
        sources: files or arrays.
        preparation: how each is prepared.
        batch: pictures per batch; the last one may be smaller, and so is one with broken pictures.
        threads: that decode; Pillow frees the interpreter while it works.
        view: number of the fixed view.
        broken: told the position and the reason of each picture that cannot be read, which is then left out.

    Yields:
        rows (b,) int64, positions in `sources`; pixels (b, size, size, 3) uint8.

    Raises:
        DataError: a picture cannot be read and `broken` is not given.
    """
    side = preparation.size

    def fill(pixels: NDArray[np.uint8], at: int, row: int) -> None:
        pixels[at] = load(sources[row], preparation, view=view)

    def start(first: int) -> tuple[Rows, NDArray[np.uint8], list[Future[None]]]:
        rows = np.arange(first, min(first + batch, len(sources)), dtype=np.int64)
        pixels = np.empty((len(rows), side, side, 3), dtype=np.uint8)
        return rows, pixels, [pool.submit(fill, pixels, at, int(row)) for at, row in enumerate(rows)]

    pool = ThreadPoolExecutor(max(1, threads), thread_name_prefix="decode")
    try:
        waiting = deque(start(first) for first in range(0, min(len(sources), AHEAD * batch), batch))
        following = iter(range(AHEAD * batch, len(sources), batch))
        while waiting:
            rows, pixels, work = waiting.popleft()
            good = _finish(rows, work, broken)
            first = next(following, None)
            if first is not None:
                waiting.append(start(first))
            if good.all():
                yield rows, pixels
            elif good.any():
                yield rows[good], pixels[good]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _finish(rows: Rows, work: list[Future[None]], broken: Callable[[int, str], None] | None) -> NDArray[np.bool_]:
    good = np.ones(len(rows), dtype=bool)
    for at, future in enumerate(work):
        try:
            future.result()
        except DataError as error:
            if broken is None:
                raise
            good[at] = False
            broken(int(rows[at]), reason(error))
    return good
