"""Address and token come from the environment, then from the stored login; nowhere else."""

from __future__ import annotations

import stat

import pytest

from cerro import config
from cerro.errors import CerroError, NotLoggedInError


@pytest.mark.req("CLI-4")
def test_the_environment_goes_before_the_login() -> None:
    config.store("https://stored.example/", "stored")
    found = config.connection({"CERRO_URL": "https://lab.example", "CERRO_TOKEN": "lab"})
    assert (found.url, found.token) == ("https://lab.example/", "lab")


@pytest.mark.req("CLI-4")
def test_the_stored_login_is_used_without_environment() -> None:
    config.store("https://stored.example/", "stored")
    found = config.connection({})
    assert (found.url, found.token, found.source) == ("https://stored.example/", "stored", "login")


@pytest.mark.req("CLI-4")
def test_a_stored_token_never_goes_to_another_address() -> None:
    config.store("https://stored.example/", "stored")
    assert config.connection({"CERRO_URL": "https://other.example/"}).token is None
    assert config.connection({"CERRO_URL": "https://stored.example"}).token == "stored"
    with pytest.raises(NotLoggedInError, match="set both"):
        config.connection({"CERRO_TOKEN": "for another platform"})


@pytest.mark.req("CLI-5")
def test_without_either_the_error_says_what_to_do() -> None:
    with pytest.raises(NotLoggedInError, match="cerro login"):
        config.connection({})


@pytest.mark.req("CLI-4")
def test_only_the_user_can_read_the_login() -> None:
    config.store("https://stored.example/", "first")
    path = config.store("https://stored.example/", "second")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["login.json"]


@pytest.mark.req("CLI-4")
def test_logging_out_forgets_the_token() -> None:
    config.store("https://stored.example/", "stored")
    forgotten = config.forget()
    assert forgotten is not None
    assert forgotten.token == "stored"
    assert config.stored() is None
    assert config.forget() is None


@pytest.mark.req("CLI-5")
@pytest.mark.parametrize("text", ["", "{}", "[1]", "nonsense"])
def test_a_damaged_login_is_named(text: str) -> None:
    path = config.store("https://stored.example/", "stored")
    path.write_text(text)
    with pytest.raises(CerroError, match=r"login\.json.*cerro login"):
        config.connection({})


@pytest.mark.req("CLI-4")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("localhost:8000/hub/home", "http://localhost:8000/"),
        ("sky.example", "https://sky.example/"),
        ("https://sky.example/cerro", "https://sky.example/cerro/"),
        ("https://sky.example/hub", "https://sky.example/"),
    ],
)
def test_what_a_person_types_becomes_an_address(typed: str, meant: str) -> None:
    assert config.tidy_url(typed) == meant


@pytest.mark.req("CLI-5")
@pytest.mark.parametrize("typed", ["ftp://sky.example", "", "http://"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(CerroError, match="no web address"):
        config.tidy_url(typed)


@pytest.mark.req("CLI-4")
def test_the_token_is_not_shown_by_repr() -> None:
    assert "secret" not in repr(config.Connection("https://sky.example/", "secret"))
