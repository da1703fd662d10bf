"""How much a caller may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro_services.access import PUBLIC, Caller
from cerro_services.config import ConfigError, load
from cerro_services.quotas import Quota, Quotas


def member(*groups: str) -> Caller:
    return Caller("ada", frozenset(groups), frozenset())


@pytest.mark.req("UWS-13")
def test_a_group_gives_more_than_the_default_and_the_public_gets_less() -> None:
    quotas = Quotas(
        {"default": {"running_jobs": 3}, "staff": {"running_jobs": 9}, "pi": {"running_jobs": 5}}
    )
    assert quotas.of(member()).running_jobs == 3
    assert quotas.of(member("staff", "pi", "other")).running_jobs == 9
    assert quotas.of(member("pi")).job_seconds == Quota().job_seconds
    public = quotas.of(PUBLIC)
    assert public.running_jobs == 1
    assert public.table_bytes == 0
    assert public.maxrec < Quota().maxrec


@pytest.mark.req("UWS-13")
def test_a_group_can_be_given_less_than_the_default() -> None:
    quotas = Quotas({"students": {"job_seconds": 60, "upload_bytes": "5MB"}})
    assert quotas.of(member("students")).job_seconds == 60
    assert quotas.of(member("students")).upload_bytes == 5_000_000


@pytest.mark.req("UWS-13")
def test_nobody_gets_more_than_the_platform_gives() -> None:
    quotas = Quotas({"staff": {"maxrec": 10**9}}, {"maxrec": 1000})
    assert quotas.of(member("staff")).maxrec == 1000
    assert quotas.of(PUBLIC).maxrec == 1000


@pytest.mark.req("UWS-13")
def test_a_wrong_quota_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERRO_HOME", str(tmp_path))
    (tmp_path / "cerro.yaml").write_text("services:\n  quotas:\n    staff: {jobs: 4}\n")
    with pytest.raises(ConfigError, match=r"quotas.*staff\.jobs"):
        load()
