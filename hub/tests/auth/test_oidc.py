"""Logging in with an OpenID Connect provider, which runs beside the platform."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hub.tests.support import Person, Platform, identify, running
from tests.support.platform import free_port
from tests.support.waiting import eventually

SETTINGS = """
hub:
  auth: oidc
  oidc:
    client_id: cerro
    issuer: {issuer}
    name: Observatory
    allowed_groups: [members, directors]
    admin_groups: [directors]
"""

Claims = Callable[..., None]


@pytest.fixture(scope="module")
def provider(place: Path) -> Iterator[tuple[str, Path]]:
    port, claims = free_port(), place / "claims.json"
    program = Path(__file__).with_name("provider.py")
    process = subprocess.Popen([sys.executable, str(program), str(port), str(claims)])
    issuer = f"http://127.0.0.1:{port}"
    eventually(lambda: _answers(issuer), "the provider answers")
    yield issuer, claims
    process.kill()
    process.wait()


def _answers(issuer: str) -> bool:
    try:
        return httpx.get(f"{issuer}/.well-known/openid-configuration").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def observatory(place: Path, provider: tuple[str, Path]) -> Iterator[Platform]:
    home = place / "oidc"
    home.mkdir()
    (home / "cerro.yaml").write_text(SETTINGS.format(issuer=provider[0]))
    env = {"CERRO_HUB_OIDC__CLIENT_SECRET": "client-secret"}
    with running(home, env=env, without=["services", "portal", "culler"]) as platform:
        yield platform


@pytest.fixture
def person_is(provider: tuple[str, Path]) -> Claims:
    def write(name: str, groups: list[str], *, email_verified: bool = True) -> None:
        claims = {"sub": name, "preferred_username": name, "groups": groups}
        provider[1].write_text(json.dumps({**claims, "email_verified": email_verified}))

    return write


def _sign_in(platform: Platform) -> tuple[Person, httpx.Response]:
    person = Person(platform.address)
    assert "Sign in with Observatory" in person.http.get("hub/login").text
    return person, person.http.get("hub/oauth_login")


@pytest.mark.req("HUB-5")
def test_a_member_is_let_in_with_the_providers_groups(
    observatory: Platform, person_is: Claims
) -> None:
    person_is("vera", ["members", "data-rights"])
    person, answer = _sign_in(observatory)
    assert answer.url.path == "/hub/home"
    person.name = "vera"
    model = identify(observatory.address, person.token("custom:read:tap")).json()
    assert model["name"] == "vera"
    assert sorted(model["groups"]) == ["data-rights", "members"]
    assert model["admin"] is False if "admin" in model else True


@pytest.mark.req("HUB-5")
def test_groups_follow_the_provider_at_the_next_login(
    observatory: Platform, person_is: Claims
) -> None:
    person_is("henrietta", ["members", "data-rights"])
    person, _ = _sign_in(observatory)
    person.name = "henrietta"
    token = person.token("custom:read:tap")
    person_is("henrietta", ["members"])
    _sign_in(observatory)
    assert identify(observatory.address, token).json()["groups"] == ["members"]


@pytest.mark.req("HUB-5")
def test_a_member_of_an_admin_group_administers(observatory: Platform, person_is: Claims) -> None:
    person_is("cecilia", ["directors"])
    person, _ = _sign_in(observatory)
    assert person.http.get("hub/admin").status_code == 200


@pytest.mark.req("HUB-5")
def test_a_stranger_is_not_let_in(observatory: Platform, person_is: Claims) -> None:
    person_is("mallory", ["visitors"])
    assert _sign_in(observatory)[1].status_code == 403


@pytest.mark.req("HUB-5")
def test_an_unverified_address_is_not_let_in(observatory: Platform, person_is: Claims) -> None:
    person_is("mallory", ["members"], email_verified=False)
    answer = _sign_in(observatory)[1]
    assert answer.status_code == 403
    assert "not verified" in answer.text


@pytest.mark.req("HUB-5")
def test_embedded_accounts_are_off_then(observatory: Platform) -> None:
    answer = observatory.run("user", "add", "ada")
    assert answer.returncode == 1
    assert "OpenID provider" in answer.stderr
    form = {"username": "admin", "password": "whatever-it-is"}
    assert Person(observatory.address).http.post("hub/login", data=form).status_code != 200


@pytest.mark.req("HUB-5")
def test_a_provider_that_does_not_answer_is_told(place: Path) -> None:
    home = place / "lost"
    home.mkdir()
    (home / "cerro.yaml").write_text(SETTINGS.format(issuer=f"http://127.0.0.1:{free_port()}"))
    env = {"CERRO_HUB_OIDC__CLIENT_SECRET": "client-secret"}
    platform = Platform(home, env=env, without=["services", "portal", "culler"])
    try:
        platform.begin()
        eventually(
            lambda: "does not answer" in platform.output and "hub.oidc.issuer" in platform.output,
            "the reason is told",
        )
    finally:
        platform.stop()
