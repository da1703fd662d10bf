"""What there is to ask for."""

from __future__ import annotations

import pytest
from tests.support.serving import ROWS, Serving

import cerro
from cerro.errors import NotFoundError


@pytest.mark.req("CLI-3")
def test_releases_are_found_by_place_and_by_name(lab: Serving) -> None:
    releases = cerro.releases()
    assert [release.name for release in releases] == ["tiny"]
    assert releases["tiny"] == releases[0]
    assert releases["tiny"].public
    assert releases["tiny"].tables["Star"].nrows == ROWS
    assert releases._ipython_key_completions_() == ["tiny"]


@pytest.mark.req("CLI-3")
def test_a_notebook_shows_releases_and_no_markup_of_theirs(lab: Serving) -> None:
    shown = cerro.releases()._repr_html_()
    assert "tiny.Star" in shown
    assert "&lt;b&gt;bold" in shown
    assert "<b>" not in shown
    assert "tiny" in repr(cerro.releases())


@pytest.mark.req("CLI-3")
def test_tables_tell_their_columns(lab: Serving) -> None:
    assert "tiny.Star" in cerro.tables
    assert f"{ROWS} rows" in repr(cerro.tables)
    columns = cerro.tables["tiny.star"].columns
    flux = columns[columns["column_name"] == "flux"][0]
    assert (flux["unit"], flux["ucd"], flux["description"]) == ("nJy", "phot.flux", "Flux.")


@pytest.mark.req("CLI-5")
def test_an_unknown_name_is_told_with_the_nearest(lab: Serving) -> None:
    with pytest.raises(NotFoundError, match=r"no release 'tinny'.*tiny"):
        cerro.releases()["tinny"]
    with pytest.raises(NotFoundError, match=r"no table 'tiny\.Sta'.*tiny\.Star"):
        cerro.tables["tiny.Sta"]
