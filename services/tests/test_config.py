"""Settings: the environment goes before the file, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cerro_services.config import ConfigError, load


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RELEASES", "EXTERNAL_URL", "HUB_API_URL", "MEMORY", "THREADS"):
        monkeypatch.delenv(f"CERRO_{name}", raising=False)
    monkeypatch.setenv("CERRO_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.req("TAP-12")
def test_without_settings_everything_lies_in_the_home(home: Path) -> None:
    settings = load()
    assert settings.releases == home / "releases"
    assert settings.spill == home / "run/spill"
    assert settings.base_url == "http://127.0.0.1:8000"


@pytest.mark.req("TAP-12")
def test_the_file_sets_what_the_environment_does_not(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "cerro.yaml").write_text("services:\n  memory: 5GB\n  threads: 3\nhub: {port: 1}\n")
    monkeypatch.setenv("CERRO_THREADS", "7")
    monkeypatch.setenv("CERRO_RELEASES", "/data/releases")
    monkeypatch.setenv("CERRO_EXTERNAL_URL", "https://sky.example/cerro")
    settings = load()
    assert (settings.memory, settings.threads) == ("5GB", 7)
    assert settings.releases == Path("/data/releases")
    assert settings.external_url == "https://sky.example/cerro/"


@pytest.mark.req("BUCKET-2")
@pytest.mark.parametrize(
    ("named", "folder", "buckets"),
    [
        ("/data/one", Path("/data/one"), ()),
        ("s3://b/p", None, ("s3://b/p",)),
        ("/data/one, s3://b/p,s3://c", Path("/data/one"), ("s3://b/p", "s3://c")),
    ],
)
def test_releases_lie_in_a_folder_or_buckets(
    home: Path,
    named: str,
    folder: Path | None,
    buckets: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CERRO_RELEASES", named)
    settings = load()
    assert (settings.releases, settings.buckets) == (folder, buckets)


@pytest.mark.req("TAP-12")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("services: {threads: none}", "threads"),
        ("services: {thread: 2}", "thread "),
        ("services: [1]", "services: must hold settings"),
        ("services: {a: b", "cerro.yaml cannot be read"),
    ],
)
def test_what_is_wrong_is_named(home: Path, text: str, says: str) -> None:
    (home / "cerro.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load()
    assert says in caught.value.message


@pytest.mark.req("TAP-12")
def test_serve_tells_a_wrong_setting_and_ends(home: Path) -> None:
    from cerro_services.cli import serve

    (home / "cerro.yaml").write_text("services: {threads: 0}")
    result = CliRunner().invoke(serve, [])
    assert result.exit_code == 1
    assert "The setting threads" in result.output
    assert "Traceback" not in result.output
