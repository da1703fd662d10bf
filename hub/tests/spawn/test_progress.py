"""What a starting server says of its progress, in a file that its user can replace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cerro_hub.spawn.spawner import LONGEST_PROGRESS, read_progress


@pytest.mark.req("HUB-11")
def test_its_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("one\ntwo\n")
    assert read_progress(tmp_path / "progress") == ["one", "two"]
    assert read_progress(tmp_path / "none") == []


@pytest.mark.req("HUB-11")
def test_a_link_to_another_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the hub's")
    (tmp_path / "progress").symlink_to(tmp_path / "secret")
    assert read_progress(tmp_path / "progress") == []


@pytest.mark.req("HUB-11")
@pytest.mark.skipif(os.geteuid() != 0, reason="changing owners needs root")
def test_a_hard_link_to_another_accounts_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the hub's")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, 52000, 52000)
    os.link(tmp_path / "secret", theirs / "progress")
    assert read_progress(theirs / "progress") == []


@pytest.mark.req("HUB-11")
def test_a_pipe_and_an_endless_file_do_not_hold_the_hub_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_progress(tmp_path / "pipe") == []
    (tmp_path / "long").write_bytes(b"x" * 10 * LONGEST_PROGRESS)
    assert len("".join(read_progress(tmp_path / "long"))) == LONGEST_PROGRESS
