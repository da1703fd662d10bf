"""Questions in ADQL: `query` gives a table, `tap` a pyvo service for everything else."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from cerro import votable
from cerro.config import Connection, connection
from cerro.errors import QueryError, TruncatedWarning
from cerro.session import call, open_session, query_error

if TYPE_CHECKING:
    from astropy.table import Table
    from pyvo.dal import TAPService

TAP = "api/tap"
PARQUET = "application/vnd.apache.parquet"

_offers_parquet: dict[str, bool] = {}


def query(adql: str, *, maxrec: int | None = None) -> Table:
    """Ask the platform's catalogues a question in ADQL.

    Parameters
    ----------
    adql
        The query, for example ``SELECT TOP 5 objectId FROM sim.Object``.
    maxrec
        Most rows to give; the server's own limit if not given.

    Returns
    -------
    astropy.table.Table
        The rows. Each column has its ``unit`` and ``description``, and its ``ucd`` in ``meta``;
        nulls are masked. ``meta["overflow"]`` tells whether rows were cut off.

    Raises
    ------
    cerro.errors.QueryError
        If the server refuses the query; the message shows the place.
    cerro.errors.CerroError
        If the platform cannot be reached, or does not accept the token.

    Warns
    -----
    cerro.errors.TruncatedWarning
        If the server cut the result at its own limit.

    Examples
    --------
    >>> stars = cerro.query(
    ...     "SELECT coord_ra, coord_dec, r_psfFlux FROM sim.Object WHERE r_extendedness = 0"
    ... )  # doctest: +SKIP
    """
    from cerro.results import from_parquet, from_votable

    content, parquet = fetch(connection(), adql, maxrec=maxrec)
    table = from_parquet(content) if parquet else from_votable(content)
    table.meta["query"] = adql
    if table.meta["overflow"] and (maxrec is None or len(table) < maxrec):
        warnings.warn(
            f"The server gave its first {len(table):,} rows only: the result is not complete. "
            "Ask for less (WHERE, TOP), or for more rows with maxrec=… .",
            TruncatedWarning,
            stacklevel=2,
        )
    return table


def fetch(where: Connection, adql: str, *, maxrec: int | None = None) -> tuple[bytes, bool]:
    """Run a query and give the result as the server wrote it.

    Parameters
    ----------
    where
        Platform and token.
    adql
        The query.
    maxrec
        Most rows to give.

    Returns
    -------
    content : bytes
        The result document.
    parquet : bool
        Whether it is Parquet with VOTable metadata; VOTable if not.
    """
    if not adql.strip():
        raise QueryError("The query is empty. Try: SELECT TOP 5 * FROM tap_schema.tables")
    data = {"REQUEST": "doQuery", "LANG": "ADQL", "QUERY": adql}
    if maxrec is not None:
        data["MAXREC"] = str(maxrec)
    if _parquet_offered(where):
        data["RESPONSEFORMAT"] = PARQUET
    answer = call(where, "POST", f"{TAP}/sync", data=data)
    if "parquet" in answer.headers.get("Content-Type", "").lower():
        return answer.content, True
    # DALI lets a server report an error with status 200.
    reason = votable.error_text(answer.content)
    if reason is not None:
        raise query_error(reason)
    return answer.content, False


def _parquet_offered(where: Connection) -> bool:
    """Read the server's output formats (TAPRegExt 1.0, section 2.4), once a process."""
    known = _offers_parquet.get(where.url)
    if known is None:
        document = call(where, "GET", f"{TAP}/capabilities").content
        known = any(
            "parquet" in "".join(form.itertext()).lower()
            for form in votable.elements(votable.parse(document), "outputFormat")
        )
        _offers_parquet[where.url] = known
    return known


def tap() -> TAPService:
    """Give the platform's TAP service to pyvo, logged in.

    Returns
    -------
    pyvo.dal.TAPService
        The service; it sends the user's token to the platform's host and to no other.

    Examples
    --------
    >>> cerro.tap().search("SELECT TOP 5 * FROM sim.Object").to_table()  # doctest: +SKIP
    """
    from pyvo.dal import TAPService

    where = connection()
    return TAPService(where.address(TAP), session=open_session(where))
