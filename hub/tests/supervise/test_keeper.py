"""The keeper of one process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.platform import free_port
from tests.support.waiting import eventually

from cerro_hub.home import Home
from cerro_hub.supervise import keeper as module
from cerro_hub.supervise.keeper import Keeper
from cerro_hub.supervise.plan import ProcessSpec
from cerro_hub.supervise.state import Board

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Kept:
    """A keeper and what it has said."""

    def __init__(self, folder: Path, spec: ProcessSpec) -> None:
        home = Home(folder)
        home.make()
        self.lines: list[str] = []
        self.board = Board(home, "", {})
        self.keeper = Keeper(
            spec, home.log(spec.name), self.board, lambda _name, line: self.lines.append(line)
        )

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Kept]:
    port = free_port()
    spec = ProcessSpec("server", (sys.executable, "-c", SERVER, str(port)), {}, port, "/healthz")
    kept = Kept(tmp_path, spec)
    kept.keeper.start()
    eventually(kept.keeper.up.is_set, "the process is up")
    yield kept
    kept.keeper.stop()


@pytest.mark.req("HUB-1")
def test_a_process_that_hangs_is_ended_and_started_again(
    server: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASK", 0.2)
    monkeypatch.setattr(module, "PATIENCE", 1.0)
    hung = server.board.get("server").pid
    os.kill(hung, signal.SIGSTOP)
    eventually(lambda: "it did not answer" in server.said, "the hang is noticed")
    monkeypatch.setattr(module, "PATIENCE", 60.0)
    eventually(lambda: server.board.get("server").status == "up", "it is up again")
    assert server.board.get("server").pid != hung
    assert not psutil.pid_exists(hung)


@pytest.mark.req("HUB-1")
def test_stopping_ends_the_process(server: Kept) -> None:
    pid = server.board.get("server").pid
    server.keeper.stop()
    assert not psutil.pid_exists(pid)
    assert server.board.get("server").status == "stopped"


@pytest.mark.req("HUB-1")
def test_a_process_that_ends_at_once_is_tried_with_longer_and_longer_pauses(tmp_path: Path) -> None:
    kept = Kept(tmp_path, ProcessSpec("broken", (sys.executable, "-c", "raise SystemExit('no')")))
    kept.keeper.start()
    try:
        eventually(lambda: "trying again in 2 s" in kept.said, "the third failure")
    finally:
        kept.keeper.stop()
    failures = [line for line in kept.lines if line.startswith("failed")]
    assert "it ended with code 1: no" in failures[0]
    assert "trying again" not in failures[0], "the first time at once"
    assert "trying again in 1 s" in failures[1]
    assert kept.board.get("broken").restarts >= 2


@pytest.mark.req("HUB-7")
def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    kept = Kept(tmp_path, ProcessSpec("lost", ("/nonexistent/program",)))
    kept.keeper.start()
    try:
        eventually(lambda: "cannot be started: No such file" in kept.said, "it is told")
    finally:
        kept.keeper.stop()
