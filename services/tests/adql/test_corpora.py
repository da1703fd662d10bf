"""Queries that others wrote compile: IVOA's own set, and Rubin's tutorials."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest
from lxml import etree
from sqlglot import exp
from tests.support.trial import trial

from cerro_services.adql import AdqlError, Catalogue, QueryTable, compile_query
from cerro_services.adql.dialect import parse
from cerro_services.release.model import Column, TableModel
from cerro_services.release.schema import read, validate
from cerro_services.tap.tapschema import view

KINDS = [
    ("double", None, None, "deg"), ("long", None, None, None), ("unicode", "*", None, None),
    ("double", "2", "point", "deg"), ("double", "*", "polygon", "deg"),
    ("double", None, None, "mas/yr"),
]  # fmt: skip


def made_for(tree: exp.Query, kind: tuple[str, str | None, str | None, str | None]) -> Catalogue:
    """Give the tables that a query names, each with all columns that it names, of one type.

    What is compared by LIKE or with a text is text, and s_region is a geometry.
    """
    texts = {
        column.name.lower()
        for node in tree.find_all(exp.Like, exp.ILike, exp.EQ, exp.NEQ, exp.In)
        for column in node.this.find_all(exp.Column)
        if isinstance(node, exp.Like | exp.ILike)
        or any(
            isinstance(part, exp.Literal) and part.is_string
            for part in (node.args.get("expression"), *node.args.get("expressions", []))
        )
    }
    known = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    parts = [c.this for c in tree.find_all(exp.Column)]
    parts += [part for join in tree.find_all(exp.Join) for part in join.args.get("using") or ()]
    names = {
        part.name if part.args.get("quoted") else part.name.lower(): part.name
        for part in parts
        if isinstance(part, exp.Identifier)
    }
    columns = tuple(
        Column(name, "double", "2", xtype="point")
        if name.lower() == "s_region"
        else Column(name, "unicode", "*")
        if name.lower() in texts
        else Column(name, kind[0], kind[1], kind[3], xtype=kind[2])
        for name in names.values()
    ) or (Column("a", "double"),)
    tables = {
        (t.db or "x", t.name): QueryTable(t.db or "x", TableModel(t.name, columns), pa.table({}))
        for t in tree.find_all(exp.Table)
        if t.db or t.name.lower() not in known
    }
    return Catalogue(tuple(tables.values()))


@pytest.mark.req("ADQL-1")
def test_valid_queries_of_ivoa_compile_on_tables_that_fit() -> None:
    failed = []
    count = 0
    for path in sorted(trial("models/lyonetia/src/adql/ivoa").glob("*.xml")):
        for i, query in enumerate(etree.parse(path).getroot().iter("query")):
            adql = query.find("adql")
            assert adql is not None
            text = adql.text or ""
            if adql.get("valid") != "true" or "eso_" in text.lower():
                continue
            count += 1
            tree, said = parse(text), []
            for kind in KINDS:
                try:
                    compile_query(text, made_for(tree, kind))
                    break
                except AdqlError as error:
                    said.append(error.message)
            else:
                # Tables that all have the same columns make a plain name unclear, and no one type
                # of column fits where shapes and numbers are mixed.
                if not any("is not clear" in message for message in said):
                    failed.append(f"{path.stem}-{i}")
    assert count > 160
    assert failed == ["O1_geometrical_functions-29"]


@pytest.fixture(scope="module")
def rubin(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """Give the tables of Rubin's data previews, without rows."""
    folder = trial("models/sdm_schemas/python/lsst/sdm/schemas")
    tables = []
    for file, name in [
        ("dp1", "dp1"), ("dp02_dc2", "dp02_dc2_catalogs"), ("dp03_10yr", "dp03_catalogs_10yr"),
        ("dp03_1yr", "dp03_catalogs_1yr"), ("ivoa_obscore", "ivoa"), ("dp2", "dp2"),
    ]:  # fmt: skip
        path = folder / f"{file}.yaml"
        if file == "dp2":
            whole = tmp_path_factory.mktemp("felis") / path.name
            whole.write_text(validate(path, resolve=True) or path.read_text())
            path = whole
        models = read(path).tables.values()
        tables += [QueryTable(name, model, pa.table({})) for model in models]
    return Catalogue((*tables, *view([], frozenset()).catalogue.tables))


_FILLED = {"{my_band}": "r", "{band}": "r", "{pf}": "r", "{string_polygon}": "1, 1, 2, 1, 2, 2"}


@pytest.mark.req("ADQL-9")
def test_the_queries_of_the_tutorials_compile(rubin: Catalogue) -> None:
    tutorials = trial("tutorials/rubin_tutorial_adql_queries.json")
    queries = {entry["query"] for entry in json.loads(tutorials.read_text())}
    foreign = re.compile(r"gaiadr3|des_dr2|dbo\.|TAP_UPLOAD|pointings_sql|^\{|IN \{|TOP \{|%")
    refused, count = [], 0
    for query in sorted(queries):
        # What stands for a position, a number or a band is filled in; what stands for part of a
        # query, and tables of other archives, cannot be.
        if foreign.search(query) or "{flux_cut}" in query or re.search(r"\{[^}]*\}_", query):
            continue
        text = re.sub(r"'\{[^}]*\}, ?\{[^}]*\}'", "'1, 1'", query)
        text = re.sub(r"\{(use|str)_center_coords\}", "62, -37", text)
        text = re.sub(r"\{[^}]*\}", lambda match: _FILLED.get(match[0], "53.1"), text)
        count += 1
        try:
            compile_query(text, rubin)
        except AdqlError as error:
            refused.append(re.sub(r"line.*?: ", "", error.message.split("\n")[0]))
    assert count > 180
    # This is not ADQL: a column that is not grouped.
    assert refused == ["detector is neither in GROUP BY nor inside COUNT, MIN, MAX, AVG, SUM."]
