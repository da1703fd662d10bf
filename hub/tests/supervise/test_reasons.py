"""Why a process ended, in one line."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cerro_hub.supervise.plan import ProcessSpec
from cerro_hub.supervise.reasons import explain

TRACEBACK = """\
Traceback (most recent call last):
  File "/x/jupyterhub/app.py", line 1, in start
    self.init_db()
"""


def _reason(folder: Path, said: str, *, code: int | None = 1, port: int = 0) -> str:
    log = folder / "hub.log"
    earlier = "EADDRINUSE, but that was the last time\n"
    log.write_text(earlier + said)
    return explain(ProcessSpec("hub", (), port=port), code, log, len(earlier))


@pytest.mark.req("HUB-7")
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (TRACEBACK + "OSError: [Errno 28] No space left on device\n", "no space left on the disk"),
        (TRACEBACK + "sqlite3.OperationalError: database or disk is full\n", "no space left"),
        (TRACEBACK + "sqlite3.OperationalError: database is locked\n", "its database is locked"),
        ("Error: listen EADDRINUSE: address already in use\n", "its port is taken"),
        (TRACEBACK + "ValueError: a wrong value\n", "with code 1: ValueError: a wrong value"),
        ("", "it ended with code 1 (see"),
    ],
)
def test_the_cause_is_found_in_what_it_wrote_last(tmp_path: Path, said: str, reason: str) -> None:
    found = _reason(tmp_path, said)
    assert reason in found
    assert "\n" not in found


@pytest.mark.req("HUB-7")
def test_who_holds_the_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = _reason(tmp_path, "OSError: address already in use", port=port)
    assert f"port {port} is taken by" in found
    assert f"(pid {os.getpid()})" in found


@pytest.mark.req("HUB-7")
def test_a_signal_is_named(tmp_path: Path) -> None:
    assert _reason(tmp_path, "", code=-9) == "it was ended by signal SIGKILL"
