"""Turns of several processes at pieces of work: a piece that one of them has is left alone by the others.

A turn is a lock on one byte of a file that all of them share, which the system gives back when its process ends,
however it ends. Where the disk knows no locks, everybody has a turn: work is then done twice, and nothing worse.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_PLACES = 2**31 - 2  # bytes of the file that may be locked; none of them is written
_AGAIN = 0.5  # seconds between two tries
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


@contextmanager
def turn(file: Path, piece: str, *, wait: bool = False) -> Iterator[bool]:
    """Whether this process has its turn at a piece of work, until the end of the block.

    Args:
        file: shared by the processes; made where it is not there.
        piece: name of the work.
        wait: until the process that has it is done with it.
    """
    place = hash_of(piece)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        shared = file.open("ab")
    except OSError:  # what cannot be written here is said by who keeps the work
        yield True
        return
    with shared:
        while not (mine := _locked(shared.fileno(), place)) and wait:
            time.sleep(_AGAIN)
        yield mine  # closing the file gives the turn back


def hash_of(piece: str) -> int:
    """The byte that stands for a piece; two pieces on one byte only wait for each other."""
    return int.from_bytes(hashlib.sha256(piece.encode()).digest()[:8], "big") % _PLACES


def _locked(file: int, place: int) -> bool:
    try:
        if fcntl is not None:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        else:
            import msvcrt

            os.lseek(file, place, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
    except OSError as error:
        return error.errno not in _TAKEN
    return True
