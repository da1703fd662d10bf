"""Embedded accounts and the brake on guessing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cerro_hub.auth.accounts import AccountStore
from cerro_hub.auth.limits import FREE_TRIES, TRIES_OF_A_NAME, LoginLimiter, client_address
from cerro_hub.errors import AccountError

PASSWORD = "correct-horse-battery"


@pytest.mark.req("HUB-2")
def test_a_password_is_kept_as_a_hash_and_verified(tmp_path: Path) -> None:
    store = AccountStore(tmp_path)
    store.add("ada", PASSWORD, groups=["data-rights"])
    kept = (tmp_path / "accounts.json").read_text()
    assert PASSWORD not in kept
    assert "$argon2id$" in kept
    assert store.verify("ada", PASSWORD) == store.get("ada")
    assert store.verify("ada", PASSWORD + "x") is None
    assert store.verify("nobody", PASSWORD) is None


@pytest.mark.req("HUB-2")
@pytest.mark.parametrize("name", ["", "Ada", "a/../b", "ada lovelace", "1st", "a" * 31, "ä"])
def test_a_name_that_is_unsafe_as_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AccountError, match="cannot be an account's name"):
        AccountStore(tmp_path).add(name, PASSWORD)


@pytest.mark.req("HUB-2")
def test_a_short_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AccountError, match="too short"):
        AccountStore(tmp_path).add("ada", "short")


@pytest.mark.req("HUB-2")
def test_the_last_administrator_cannot_be_removed(tmp_path: Path) -> None:
    store = AccountStore(tmp_path)
    store.add("ada", PASSWORD, admin=True)
    with pytest.raises(AccountError, match="only administrator"):
        store.remove("ada")
    store.add("grace", PASSWORD, admin=True)
    store.remove("ada")
    assert list(store.all()) == ["grace"]


@pytest.mark.req("HUB-2")
def test_another_process_sees_a_change_at_once(tmp_path: Path) -> None:
    here, there = AccountStore(tmp_path), AccountStore(tmp_path)
    here.add("ada", PASSWORD)
    assert there.get("ada").groups == ()
    here.set_groups("ada", ["b", "a", "b"])
    assert there.get("ada").groups == ("a", "b")


@pytest.mark.req("HUB-2")
def test_changes_made_at_once_are_all_kept(tmp_path: Path) -> None:
    names = [f"user{i}" for i in range(8)]
    threads = [
        threading.Thread(target=AccountStore(tmp_path).add, args=(name, PASSWORD)) for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(AccountStore(tmp_path).all()) == names


@pytest.mark.req("HUB-2")
def test_guessing_is_slowed_down_more_and_more_without_locking_others_out() -> None:
    now = 0.0
    limiter = LoginLimiter(clock=lambda: now)
    waits = []
    for _ in range(FREE_TRIES + 2):
        waits.append(limiter.wait("10.0.0.1", "ada"))
        limiter.failed("10.0.0.1", "ada")
    assert waits[:FREE_TRIES] == [0.0] * FREE_TRIES
    assert 0 < waits[FREE_TRIES] < waits[FREE_TRIES + 1]
    assert limiter.wait("10.0.0.2", "ada") == 0.0, "ada herself, elsewhere, is not locked out"
    assert limiter.wait("10.0.0.1", "grace") == 0.0
    now = 1000.0
    assert limiter.wait("10.0.0.1", "ada") == 0.0


@pytest.mark.req("HUB-2")
def test_trying_many_names_from_one_place_is_slowed_down_too() -> None:
    limiter = LoginLimiter(clock=lambda: 0.0)
    for number in range(4 * FREE_TRIES):
        limiter.failed("10.0.0.1", f"user{number}")
    assert limiter.wait("10.0.0.1", "another") > 0


@pytest.mark.req("HUB-10")
def test_guessing_one_name_from_many_places_is_slowed_down_too() -> None:
    limiter = LoginLimiter(clock=lambda: 0.0)
    limiter.succeeded("10.9.9.9", "ada")
    for number in range(TRIES_OF_A_NAME):
        assert limiter.wait(f"10.0.{number}.1", "ada") == 0.0
        limiter.failed(f"10.0.{number}.1", "ada")
    assert 0 < limiter.wait("10.1.0.1", "ada") <= 60
    assert limiter.wait("10.9.9.9", "ada") == 0.0, "ada herself is known where she logs in"
    assert limiter.wait("10.1.0.1", "grace") == 0.0


@pytest.mark.req("HUB-10")
@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        (["192.0.2.7"], 1, "192.0.2.7"),
        (["1.2.3.4, 192.0.2.7"], 1, "192.0.2.7"),
        (["1.2.3.4", "192.0.2.7"], 1, "192.0.2.7"),
        (["1.2.3.4, 192.0.2.7, 10.0.0.1"], 2, "192.0.2.7"),
        (["10.0.0.1"], 2, "10.0.0.1"),
        ([], 1, ""),
    ],
)
def test_an_address_that_a_client_makes_up_is_not_believed(
    forwarded: list[str], proxies: int, address: str
) -> None:
    assert client_address(forwarded, proxies) == address
