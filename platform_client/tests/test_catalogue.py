"""Questions to real services: the answer has units and masks, and tells of missing rows."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from tests.support.serving import ROWS, Serving, tiny_table

import cerro
from cerro.errors import QueryError, TokenRejectedError, TruncatedWarning, UnknownTableError

EVERYTHING = "SELECT * FROM tiny.Star ORDER BY id"


@pytest.mark.req("CLI-1")
def test_columns_know_unit_ucd_and_description(lab: Serving) -> None:
    table = cerro.query(EVERYTHING)
    assert table.colnames[:3] == ["id", "ra", "dec"]
    assert table["ra"].unit == u.deg
    assert table["flux"].unit == u.nJy
    assert table["flux"].description == "Flux."
    assert table["ra"].meta["ucd"] == "pos.eq.ra;meta.main"
    assert table.meta["query"] == EVERYTHING


@pytest.mark.req("CLI-1")
def test_values_come_back_exactly_and_nulls_are_masked(lab: Serving) -> None:
    table, put_in = cerro.query(EVERYTHING), tiny_table()
    assert len(table) == ROWS
    assert table["id"].dtype == np.int64
    assert list(table["id"]) == put_in["id"].to_pylist()
    assert np.array_equal(table["ra"], put_in["ra"].to_numpy())
    for name in ("flux", "visits"):
        null = np.asarray(put_in[name].is_null())
        assert np.array_equal(table[name].mask, null)
        filled = put_in[name].fill_null(0).to_numpy()
        assert np.array_equal(np.asarray(table[name])[~null], filled[~null])
    assert table["visits"].dtype == np.int32
    assert table["good"].dtype == bool
    assert set(table["kind"][np.asarray(put_in["kind"].is_valid())]) == {"dwarf", "giant"}


@pytest.mark.req("CLI-1")
def test_fluxes_turn_into_magnitudes(lab: Serving) -> None:
    table = cerro.query("SELECT flux FROM tiny.Star WHERE flux IS NOT NULL")
    magnitude = table["flux"].quantity.to_value(u.ABmag)
    assert magnitude == pytest.approx(31.4 - 2.5 * np.log10(np.asarray(table["flux"])), abs=0.01)


@pytest.mark.req("CLI-1")
def test_no_rows_are_a_table_too(lab: Serving) -> None:
    table = cerro.query("SELECT id, kind, flux FROM tiny.Star WHERE id < 0")
    assert len(table) == 0
    assert table.colnames == ["id", "kind", "flux"]
    assert table["flux"].unit == u.nJy


@pytest.mark.req("CLI-1")
def test_rows_that_the_user_did_not_ask_for_are_not_missed(
    lab: Serving, recwarn: pytest.WarningsRecorder
) -> None:
    table = cerro.query(EVERYTHING, maxrec=5)
    assert len(table) == 5
    assert table.meta["overflow"]
    assert not [w for w in recwarn if issubclass(w.category, TruncatedWarning)]


@pytest.mark.req("CLI-1")
def test_rows_that_the_server_cut_are_told(lab: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    from cerro import catalogue, config, results

    content, parquet = catalogue.fetch(config.connection(), EVERYTHING, maxrec=5)
    assert parquet
    assert results.from_parquet(content).meta["overflow"]
    monkeypatch.setattr(catalogue, "fetch", lambda *_, **__: (content, parquet))
    with pytest.warns(TruncatedWarning, match="first 5 rows only"):
        cerro.query(EVERYTHING)


@pytest.mark.req("CLI-1")
def test_a_server_without_parquet_gives_the_same_table(lab: Serving) -> None:
    from cerro import catalogue

    expected = cerro.query(EVERYTHING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalogue._offers_parquet, lab.url, False)
        table = cerro.query(EVERYTHING)
    assert table.colnames == expected.colnames
    assert np.array_equal(table["id"], expected["id"])
    assert table["flux"].unit == u.nJy
    assert not table.meta["overflow"]


@pytest.mark.req("CLI-5")
def test_a_wrong_query_is_shown_with_a_caret(lab: Serving) -> None:
    with pytest.raises(QueryError, match=r"(?s)SELECT id FORM tiny.*\n *\^"):
        cerro.query("SELECT id FORM tiny.Star")


@pytest.mark.req("CLI-5")
def test_an_unknown_table_is_told_with_the_nearest_name(lab: Serving) -> None:
    with pytest.raises(UnknownTableError, match=r"tiny\.Star"):
        cerro.query("SELECT * FROM tiny.Stars")


@pytest.mark.req("CLI-5")
def test_an_empty_query_is_refused_here(lab: Serving) -> None:
    with pytest.raises(QueryError, match="empty"):
        cerro.query(" \n")


@pytest.mark.req("CLI-5")
def test_a_wrong_token_is_told_with_what_to_do(
    lab: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERRO_TOKEN", "expired")
    with pytest.raises(TokenRejectedError, match="CERRO_TOKEN"):
        cerro.query(EVERYTHING)


@pytest.mark.req("CLI-2")
def test_tap_gives_pyvo_the_service_logged_in(lab: Serving) -> None:
    service = cerro.tap()
    assert service.baseurl == f"{lab.url}api/tap"
    assert len(service.search("SELECT TOP 3 * FROM tiny.Star")) == 3
    assert service._session.auth is not None


@pytest.mark.req("CLI-2")
def test_tap_works_without_a_token_on_public_data(
    lab: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CERRO_TOKEN")
    assert len(cerro.tap().search("SELECT TOP 3 * FROM tiny.Star")) == 3
