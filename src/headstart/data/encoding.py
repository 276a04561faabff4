"""Text files in the encodings that people's files really have."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path

from headstart.errors import DataError

MARKS = (  # longest first: the mark of utf-16 begins the one of utf-32
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

WHOLE_FOR_BROKEN = 5  # characters beyond ASCII, for each broken one, that say a text is UTF-8 all the same


ODD = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")  # control characters beside blanks; broken ones
ODD_SHARE = 0.05  # of the characters of a text
LOOKED_AT = 2**20  # characters of a text whose share counts


def read_text(path: Path) -> tuple[str, str]:
    """The text of a file (unpacked when gzipped) and the encoding it was read in.

    Raises:
        DataError: gzipped and damaged.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"'{path}' is gzipped and damaged ({error}); fetch or pack it again.") from error
    return decode(raw)


def decode(raw: bytes) -> tuple[str, str]:
    """Bytes as text: by their mark, else UTF-8, else UTF-16 where every other byte is 0, else Windows-1252.

    A few broken bytes do not make UTF-8 another encoding: it stays UTF-8 where most characters beyond ASCII are whole.
    Windows-1252 leaves five bytes without a meaning; where one of them occurs Latin-1 is used, which never fails.
    """
    for mark, encoding in MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding, "replace"), encoding
    head = raw[:4000]
    if head.count(0) > len(head) / 4:
        encoding = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        return raw.decode(encoding, "replace"), encoding
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if len(text) - len(text.encode("ascii", "ignore")) > (WHOLE_FOR_BROKEN + 1) * broken:
        return text, f"utf-8 with {broken} broken characters"
    try:
        return raw.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return raw.decode("latin-1"), "latin-1"


def is_text(text: str) -> bool:
    """Whether decoded bytes are text: none is 0, and few are control characters or broken."""
    head = text[:LOOKED_AT]
    return "\0" not in text and len(ODD.findall(head)) <= ODD_SHARE * len(head)


def want_text(text: str, name: str | Path) -> None:
    """Refuse what `read_text` or `decode` gave where its bytes were no text.

    Args:
        text: as it was decoded.
        name: what a person calls it.

    Raises:
        DataError: it is no text.
    """
    if not is_text(text):
        raise DataError(f"'{name}' is no text: it holds bytes that no text has; give a text file.")


def lines_of(text: str) -> list[str]:
    """The lines of a text. Only line ends of files count: texts hold other breaks, such as U+2028, inside a line."""
    if not text:
        return []
    end = "\n" if "\n" in text else "\r"
    return [line.removesuffix("\r") for line in text.removesuffix(end).split(end)]


def mended(text: str) -> str:
    """A text that can be written as UTF-8: halves of characters, as cut tweets in JSON hold, become U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
