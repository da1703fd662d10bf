"""The client's commands, as a person types them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest
from astropy.table import Table
from click.testing import CliRunner, Result
from tests.support.serving import ROWS, TOKEN, Serving

from cerro import config
from cerro.cli.main import main


def cerro(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


@pytest.mark.req("CLI-4")
def test_login_checks_the_token_and_keeps_it(served: Serving) -> None:
    result = cerro("login", served.url, stdin=f"{TOKEN}\n")
    assert result.exit_code == 0, result.output
    assert "as ada" in result.output
    assert TOKEN not in result.output
    stored = config.stored()
    assert stored is not None
    assert (stored.url, stored.token) == (served.url, TOKEN)
    assert "tiny" in cerro("releases").output


@pytest.mark.req("CLI-4", "CLI-5")
@pytest.mark.parametrize("typed", ["wrong\n", "\n"])
def test_login_keeps_no_wrong_token(served: Serving, typed: str) -> None:
    result = cerro("login", served.url, stdin=typed)
    assert result.exit_code == 1
    assert config.stored() is None
    assert "Traceback" not in result.output


@pytest.mark.req("CLI-4")
def test_public_data_need_no_token(served: Serving) -> None:
    assert "1 public release" in cerro("login", served.url, "--public").output
    assert cerro("query", "SELECT TOP 1 id FROM tiny.Star").exit_code == 0


@pytest.mark.req("CLI-4")
def test_logout_forgets(served: Serving) -> None:
    cerro("login", served.url, stdin=f"{TOKEN}\n")
    assert "revoke" in cerro("logout").output
    assert config.stored() is None
    assert "Nobody" in cerro("logout").output


@pytest.mark.req("CLI-5")
def test_without_login_a_command_says_how_to_log_in() -> None:
    result = cerro("query", "SELECT 1")
    assert result.exit_code == 1
    assert "cerro login" in result.output


@pytest.mark.req("CLI-1")
def test_a_pipe_gets_csv(lab: Serving) -> None:
    result = cerro("query", "-", stdin="SELECT id, flux FROM tiny.Star ORDER BY id")
    rows = pyarrow.csv.read_csv(io.BytesIO(result.stdout.encode()))
    assert rows.num_rows == ROWS
    assert rows.column_names == ["id", "flux"]
    assert rows["flux"].null_count == ROWS // 7 + 1


@pytest.mark.req("CLI-1")
@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "parquet", "vot"])
def test_a_file_gets_the_format_of_its_ending(lab: Serving, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"stars.{ending}"
    # astropy's reader of Parquet takes no NULL among texts.
    columns = "id, ra, flux, good" + ("" if ending == "parquet" else ", kind")
    for _ in range(2):  # writing again replaces
        result = cerro("query", f"SELECT {columns} FROM tiny.Star ORDER BY id", "-o", str(path))
        assert result.exit_code == 0, result.output
    formats = {"csv": "csv", "ecsv": "ascii.ecsv", "parquet": "parquet.votable", "vot": "votable"}
    table = Table.read(path, format=formats.get(ending))
    assert len(table) == ROWS
    assert table["id"][0] == 2**60
    # astropy reads a null of Parquet as NaN, of the other formats as masked.
    missing = np.ma.filled(table["flux"].astype(float), np.nan)
    assert np.isnan(missing[:2]).tolist() == [True, False]
    if ending != "csv":
        assert str(table["flux"].unit) == "nJy"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == [path.name]


@pytest.mark.req("CLI-5")
def test_an_unknown_ending_is_refused_before_the_query(tmp_path: Path) -> None:
    result = cerro("query", "SELECT 1", "-o", str(tmp_path / "stars.docx"))
    assert result.exit_code == 2
    assert ".parquet" in result.output


@pytest.mark.req("CLI-5")
def test_a_folder_that_is_not_there_is_said(lab: Serving, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "stars.csv"
    result = cerro("query", "SELECT TOP 1 id FROM tiny.Star", "-o", str(path))
    assert result.exit_code == 1
    assert "No such file or directory" in result.output


@pytest.mark.req("CLI-3")
def test_releases_and_tables_are_listed(lab: Serving) -> None:
    assert json.loads(cerro("releases", "--json").output)[0]["name"] == "tiny"
    assert "tiny.Star" in cerro("tables").output
    described = cerro("tables", "tiny.Star").output
    assert "nJy" in described
    assert "Right ascension." in described
