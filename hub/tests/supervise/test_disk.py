"""A disk that is full when the platform starts, or while it runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hub.tests.support import ADMIN_PASSWORD, Person, Platform, running
from tests.support.disks import small_disk
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.mark.req("HUB-7")
def test_a_full_disk_at_the_start_is_one_clear_line(place: Path) -> None:
    with small_disk(place / "tiny", 16 << 20, needed=True) as disk:
        platform = Platform(disk / "home")
        platform.output_file = place / "tiny.out"
        assert platform.begin().process.wait(60) == 1  # type: ignore[union-attr]
    assert platform.output.startswith("Error: No disk space:")
    assert len(platform.output.strip().splitlines()) == 1


@pytest.mark.req("HUB-7")
def test_a_disk_that_fills_up_is_said_and_the_platform_recovers(place: Path) -> None:
    with (
        small_disk(place / "small", 160 << 20, needed=True) as disk,
        running(disk / "home", without=["services", "portal"]) as platform,
    ):
        filling = disk / "filling"
        fill = ["dd", "if=/dev/zero", f"of={filling}", "bs=1M"]
        assert (
            "No space left"
            in subprocess.run(fill, capture_output=True, text=True, check=False).stderr
        )
        eventually(lambda: "No disk space:" in platform.output, "the full disk is told")
        filling.unlink()
        person = Person(platform.address)
        eventually(
            lambda: person.login("admin", ADMIN_PASSWORD).url.path == "/hub/home",
            "people can log in once there is room again",
        )
