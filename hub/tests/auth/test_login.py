"""Logging in, tokens and groups, on a real platform."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from hub.tests.support import ADMIN_PASSWORD, Person, Platform, identify, running
from tests.support.waiting import eventually


@pytest.mark.req("HUB-2")
def test_the_first_start_makes_an_administrator_with_a_password_shown_once(place: Path) -> None:
    env = {"CERRO_ADMIN_PASSWORD": ""}
    others = ["services", "portal", "culler"]
    with running(place / "first", env=env, without=others) as platform:
        shown = re.search(r"Log in as admin with the password (\S+)", platform.output)
        assert shown
        person = Person(platform.address)
        assert person.login("admin", shown.group(1)).url.path == "/hub/home"
        assert person.api("GET", "user").json()["admin"] is True
        platform.stop()
        platform.start()
        assert "password" not in platform.output
        assert platform.processes()


@pytest.mark.req("HUB-2")
def test_a_wrong_password_and_an_unknown_name_look_the_same(platform: Platform) -> None:
    answers = []
    for name in ("ada", "nobody-at-all"):
        answer = Person(platform.address).login(name, "not-the-password")
        assert answer.status_code == 403
        answers.append(re.findall(r'login_error" role="alert">([^<]*)', answer.text))
    assert answers[0] == answers[1] == ["Invalid username or password"]


@pytest.mark.req("HUB-2")
def test_guessing_a_password_is_stopped(platform: Platform) -> None:
    person = Person(platform.address)
    answers = [person.login("grace", f"guess-number-{i}").status_code for i in range(6)]
    assert answers == [403] * 5 + [429]
    text = person.login("grace", "another-guess").text
    assert re.search(r"Too many failed logins. Try again in \d+ seconds", text)


@pytest.mark.req("HUB-10")
def test_a_made_up_address_does_not_help_to_guess(platform: Platform) -> None:
    person = Person(platform.address)
    answers = []
    for i in range(6):
        person.http.headers.update({"X-Real-IP": f"192.0.2.{i}", "X-Forwarded-For": f"192.0.2.{i}"})
        answers.append(person.login("hedy", f"guess-number-{i}").status_code)
    assert answers == [403] * 5 + [429]


@pytest.mark.req("HUB-2")
def test_accounts_are_managed_while_the_platform_runs(platform: Platform) -> None:
    added = platform.run("user", "add", "alan", "--group", "data-rights")
    assert added.returncode == 0, added.stderr
    password = added.stdout.split()[-1]
    alan = Person(platform.address)
    assert alan.login("alan", password).url.path == "/hub/home"
    token = alan.token("custom:read:tap")
    assert identify(platform.address, token).json()["groups"] == ["data-rights"]

    assert platform.run("user", "group", "alan", "--add", "staff").returncode == 0
    eventually(
        lambda: identify(platform.address, token).json()["groups"] == ["data-rights", "staff"],
        "the token has the new group",
        5,
    )
    assert "alan" in platform.run("user", "list").stdout

    assert platform.run("user", "passwd", "alan", "--password-stdin", text="new-password-1\n")
    assert Person(platform.address).login("alan", password).status_code == 403
    assert Person(platform.address).login("alan", "new-password-1").url.path == "/hub/home"

    removed = platform.run("user", "remove", "alan")
    assert removed.returncode == 0, removed.stderr
    assert identify(platform.address, token).status_code == 403
    assert platform.run("user", "remove", "alan").returncode == 1


@pytest.mark.req("HUB-2")
def test_a_name_of_a_removed_account_does_not_bring_its_tokens_back(platform: Platform) -> None:
    platform.run("user", "add", "mary", "--password-stdin", text="marys-password\n")
    mary = Person(platform.address)
    mary.login("mary", "marys-password")
    token = mary.token("custom:read:tap")
    platform.run("user", "remove", "mary")
    platform.run("user", "add", "mary", "--password-stdin", text="another-password\n")
    assert Person(platform.address).login("mary", "another-password").url.path == "/hub/home"
    assert identify(platform.address, token).status_code == 403


@pytest.mark.req("HUB-6")
def test_a_token_has_the_scopes_it_was_made_with(platform: Platform, ada: Person) -> None:
    answer = identify(platform.address, ada.token("custom:read:tap")).json()
    assert answer["name"] == "ada"
    assert answer["groups"] == ["data-rights"]
    assert [s for s in answer["scopes"] if s.startswith("custom:")] == ["custom:read:tap"]


@pytest.mark.req("HUB-6")
def test_a_token_cannot_be_given_more_than_its_owner_has(ada: Person) -> None:
    body = {"note": "greedy", "expires_in": 60, "scopes": ["admin:users"]}
    assert ada.api("POST", "users/ada/tokens", body).status_code == 400


@pytest.mark.req("HUB-6")
def test_a_token_cannot_live_for_ever(ada: Person) -> None:
    body = {"note": "old", "expires_in": 10 * 365 * 86400, "scopes": ["custom:read:tap"]}
    answer = ada.api("POST", "users/ada/tokens", body)
    assert answer.status_code == 400
    assert "365" in answer.text or "expires_in" in answer.text


@pytest.mark.req("HUB-6")
def test_a_token_in_an_address_is_not_accepted(platform: Platform, ada: Person) -> None:
    token = ada.token("inherit")
    answer = httpx.get(f"{platform.address}hub/api/user", params={"token": token})
    assert answer.status_code == 403


@pytest.mark.req("HUB-6")
def test_a_request_of_another_site_cannot_make_a_token(platform: Platform, ada: Person) -> None:
    answer = ada.http.post(
        "hub/api/users/ada/tokens",
        json={"note": "forged", "scopes": ["custom:read:tap"]},
        headers={"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403
    assert ADMIN_PASSWORD not in answer.text
