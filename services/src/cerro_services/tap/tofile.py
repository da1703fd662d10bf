"""A whole answer written to a file: what jobs do."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import IO

from cerro_services.tap.answer import Answer
from cerro_services.tap.record import Seconds


@dataclass(frozen=True)
class Outcome:
    """What became of an answer that was written to a file.

    Parameters
    ----------
    rows, bytes
        How much was written.
    overflow
        Whether rows are missing.
    seconds
        Where the time went.
    headers
        Of the response that gives the file to a client.
    """

    rows: int
    bytes: int
    overflow: bool
    seconds: Seconds
    headers: dict[str, str]


def write(answer: Answer, file: IO[bytes]) -> Outcome:
    """Write a whole answer to a file.

    It ends early if `Answer.stop` is called from another thread, or when its time is over.

    Parameters
    ----------
    answer
        The answer, not begun; it is closed at the end.
    file
        Where the document goes. After an error it is to be thrown away.

    Raises
    ------
    CerroError
        What went wrong, whenever it did.
    """
    clock = threading.Timer(answer.seconds_left, answer.stop, kwargs={"late": True})
    clock.daemon = True
    clock.start()
    try:
        piece: bytes | None
        piece, whole = answer.begin(held=0)
        while piece is not None:
            file.write(piece)
            piece = None if whole else answer.next()
        if answer.rows.error is not None:
            raise answer.rows.error
        answer.overflow = answer.rows.overflow
    except ConnectionAbortedError:
        if answer.rows.error is not None:
            raise answer.rows.error from None
        raise
    finally:
        clock.cancel()
        answer.close()
    return Outcome(
        answer.rows.count, answer.bytes, answer.rows.overflow, answer.seconds, answer.headers
    )
