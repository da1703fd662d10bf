"""Where the releases of a platform lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from cerro_hub.home import Home


@pytest.mark.req("BUCKET-2")
@pytest.mark.parametrize(
    ("named", "folder", "places"),
    [
        ("", "{root}/releases", "{root}/releases"),
        ("/data", "/data", "/data"),
        ("s3://b/p", "{root}/releases", "{root}/releases,s3://b/p"),
        ("s3://b/p, /data ,s3://c", "/data", "/data,s3://b/p,s3://c"),
    ],
)
def test_releases_lie_in_a_folder_and_in_buckets(
    named: str, folder: str, places: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERRO_RELEASES", named)
    home = Home(tmp_path)
    assert str(home.releases) == folder.format(root=tmp_path)
    assert home.places == places.format(root=tmp_path)
