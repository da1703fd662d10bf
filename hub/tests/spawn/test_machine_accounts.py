"""The machine's accounts: a hub that is root gives each user one; a hub that is not needs none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hub.tests.support import ADMIN_PASSWORD, Person, Platform, running

from cerro_hub.auth.accounts import AccountStore
from cerro_hub.errors import AccountError
from cerro_hub.spawn.machine_accounts import obstacle, uid_of

UNPRIVILEGED = 51234
SHOW_PYTHON = r"""
python=$1; shift
hidden=/root
mount --make-rprivate /
mkdir -p "$SCRATCH/keep"
mount --bind "$python" "$SCRATCH/keep"
mount -t tmpfs -o mode=755 tmpfs "$hidden"
mkdir -p "$python"
mount --bind "$SCRATCH/keep" "$python"
exec "$@"
"""
"""Makes a Python in root's closed home readable by all, in a mount namespace of its own."""


def _can_run(prefix: list[str], env: dict[str, str]) -> bool:
    command = [*prefix, sys.executable, "-c", "import cerro_hub"]
    try:
        return not subprocess.run(command, env=env, capture_output=True, check=False).returncode
    except OSError:
        return False


def _readable(place: Path, *prefix: str) -> list[str]:
    """Return what to put before a command so that other accounts can read this Python."""
    scratch = place / "scratch"
    scratch.mkdir(exist_ok=True)
    env = {**os.environ, "SCRATCH": str(scratch)}
    as_other = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
    if _can_run(as_other, env):
        return list(prefix)
    python = str(Path(sys.base_prefix))
    shown = ["env", f"SCRATCH={scratch}", "unshare", "-m", "sh", "-c", SHOW_PYTHON, "sh", python]
    if _can_run([*shown, *as_other], env):
        return [*shown, *prefix]
    pytest.skip("other accounts cannot read this Python, and no mount namespace can be made here")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing accounts needs root")


@needs_root
@pytest.mark.req("HUB-3")
def test_under_a_root_hub_each_person_has_an_account_and_sees_nothing_of_others(
    place: Path,
) -> None:
    prefix = _readable(place)
    home = place / "as-root"
    store = AccountStore(home / "hub")
    for name in ("admin", "ada", "eve"):
        store.add(name, ADMIN_PASSWORD, admin=name == "admin")
    with running(home, prefix=prefix, without=["services", "portal", "culler"]) as platform:
        assert "warning" not in platform.output
        labs = {}
        for name in ("ada", "eve"):
            person = Person(platform.address)
            person.login(name, ADMIN_PASSWORD)
            person.start_server()
            labs[name] = _lab(platform, name)
        assert labs["ada"].uids().real != labs["eve"].uids().real
        for name, lab in labs.items():
            assert lab.uids().real == lab.uids().effective == lab.uids().saved >= 52000
            assert lab.gids().real >= 52000
            mine = home / "homes" / name
            assert mine.stat().st_uid == lab.uids().real
            assert mine.stat().st_mode & 0o077 == 0
        eve = labs["eve"].uids().real
        for closed in (
            "homes/ada",
            "hub/secrets",
            "hub/accounts.json",
            "run/labs/ada",
            "logs",
            "releases",
        ):
            assert not _can_read(eve, home / closed), closed


def _lab(platform: Platform, name: str) -> psutil.Process:
    return next(
        p
        for p in platform.processes()
        if "cerro_hub.lab.start" in p.cmdline() and p.environ()["JUPYTERHUB_USER"] == name
    )


def _can_read(uid: int, path: Path) -> bool:
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    show = ["ls", str(path)] if path.is_dir() else ["cat", str(path)]
    return not subprocess.run([*command, *show], capture_output=True, check=False).returncode


@needs_root
@pytest.mark.req("HUB-3")
def test_a_hub_that_is_not_root_works_as_well(place: Path) -> None:
    home = place / "not-root"
    home.mkdir()
    os.chown(home, UNPRIVILEGED, UNPRIVILEGED)
    account = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]
    prefix = _readable(place, *account)
    env = {"HOME": str(home)}
    with running(home, prefix=prefix, env=env, without=["services", "portal"]) as platform:
        person = Person(platform.address)
        person.login("admin", ADMIN_PASSWORD)
        person.start_server()
        assert _lab(platform, "admin").uids().real == UNPRIVILEGED
        assert platform.stop() == 0
        assert platform.processes() == []


@pytest.mark.req("HUB-3")
def test_an_account_is_kept_for_its_user_and_never_given_to_another(tmp_path: Path) -> None:
    first = uid_of("ada", tmp_path, 52000, 52001)
    assert uid_of("eve", tmp_path, 52000, 52001) != first
    assert uid_of("ada", tmp_path, 52000, 52001) == first
    with pytest.raises(AccountError, match=r"hub\.lab\.last_uid"):
        uid_of("mallory", tmp_path, 52000, 52001)


@needs_root
@pytest.mark.req("HUB-3")
def test_what_keeps_accounts_apart_from_being_used_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    why = obstacle(UNPRIVILEGED, closed)
    assert why
    assert why.startswith("other accounts of this machine cannot")
