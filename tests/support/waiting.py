"""Waiting for what another process, or a thread that tells nobody, comes to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import httpx
import requests


def eventually[T](
    question: Callable[[], T], what: str = "it comes about", patience: float = 60.0
) -> T:
    """Ask until the answer is true, and give it.

    Parameters
    ----------
    question
        Its answer is true when the wait is over. That nobody answers yet is no answer.
    what
        What is waited for, as an error names it.
    patience
        How long to ask, in s.

    Raises
    ------
    AssertionError
        It did not come about in time.
    """
    end = time.monotonic() + patience
    while True:
        with contextlib.suppress(httpx.TransportError, requests.RequestException):
            if answer := question():
                return answer
        assert time.monotonic() < end, f"Not within {patience:g} s: {what}"
        # The state of other processes, of files and of sockets that nobody announces: there is
        # nothing to wait on. What can be waited on (a process, a job, an event) does not come here.
        time.sleep(0.01)
