"""How the end of a process is waited for, whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from cerro_hub.spawn.processes import alive, created, ends_within

PARENT = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
"""
"""Starts a process and never asks how it ended."""


@pytest.fixture
def stranger() -> Iterator[int]:
    """Give a process that another one started."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    yield pid
    parent.kill()
    parent.communicate()


@pytest.mark.req("HUB-1")
@pytest.mark.parametrize("pidfds", [True, False])
def test_the_end_of_a_strangers_process_is_noticed_though_its_parent_does_not_ask(
    stranger: int, pidfds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not pidfds:
        monkeypatch.delattr(os, "pidfd_open")
    born = created(stranger)
    assert not ends_within(0.05, stranger, lambda: alive(stranger, born))
    os.kill(stranger, signal.SIGKILL)
    assert ends_within(30, stranger, lambda: alive(stranger, born))
    assert psutil.Process(stranger).status() == psutil.STATUS_ZOMBIE


@pytest.mark.req("HUB-1")
def test_a_pid_that_has_gone_to_another_process_is_not_waited_for(stranger: int) -> None:
    assert ends_within(30, stranger, lambda: alive(stranger, created(stranger) - 100))
    assert alive(stranger, created(stranger))


@pytest.mark.req("HUB-1")
def test_a_childs_exit_code_is_left_to_whoever_asks() -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
    assert ends_within(30, child.pid, lambda: child.poll() is None)
    assert child.wait(5) == 7
    assert ends_within(30, child.pid, lambda: False)
