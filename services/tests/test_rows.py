"""Rows by the values of their columns: where a result's row leads to another table."""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .serving import Served


def get(served: Served, table: str, params: Any, token: str | None = None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{served.url}/api/rows/{table}", params=params, headers=headers)


def ids(answer: httpx.Response, column: str) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(v) for v in parse(io.BytesIO(answer.content)).get_first_table().array[column]]


@pytest.mark.req("API-ROW-1")
def test_the_sources_of_objects_are_found(served: Served, rows: dict[str, pa.Table]) -> None:
    sources = rows["Source"]
    wanted = list(dict.fromkeys(sources["objectId"].to_pylist()))[:3]
    answer = get(served, "sky/Source", [("OBJECTID", w) for w in wanted])
    mask = np.isin(sources["objectId"].to_numpy(), wanted)
    assert sorted(ids(answer, "sourceId")) == sorted(sources["sourceId"].to_numpy()[mask])
    assert mask.any()


@pytest.mark.req("API-ROW-1")
def test_columns_are_asked_together(served: Served, rows: dict[str, pa.Table]) -> None:
    objects = rows["Object"].to_pylist()
    one = next(row for row in objects if row["kind"] is not None)
    asked = {"objectId": one["objectId"], "kind": one["kind"]}
    assert ids(get(served, "sky/Object", asked), "objectId") == [one["objectId"]]
    assert ids(get(served, "sky/Object", {**asked, "kind": "none's"}), "objectId") == []


@pytest.mark.req("API-ROW-2")
@pytest.mark.parametrize(
    ("table", "params", "status", "message"),
    [
        ("sky/Object", {}, 400, "Say which rows"),
        ("sky/Object", {"objektId": 1}, 400, "Did you mean objectId?"),
        ("sky/Object", {"objectId": "1 OR 1=1"}, 400, "is no value of it"),
        ("sky/Object", {"size": "nan"}, 400, "is no value of it"),
        ("sky/Object", {"good": "true"}, 400, "not looked up by"),
        ("sky/Object", {"objectId": list(range(1001))}, 400, "at most 1,000"),
        ("sky/Nothing", {"objectId": 1}, 404, "There is no table"),
        ("sky/Secret", {"objectId": 1}, 404, "There is no table"),
    ],
)
def test_what_is_wrong_is_said_in_a_votable(
    served: Served, table: str, params: object, status: int, message: str
) -> None:
    answer = get(served, table, params)
    assert answer.status_code == status
    infos = [i for r in parse(io.BytesIO(answer.content)).resources for i in r.infos]
    assert [i.value for i in infos if i.name == "QUERY_STATUS"] == ["ERROR"]
    assert message in answer.text.replace("&gt;", ">")


@pytest.mark.req("API-ROW-2")
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_no_value_becomes_a_part_of_the_query(served: Served, text: str) -> None:
    answer = get(served, "sky/Object", {"kind": text})
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        kinds = parse(io.BytesIO(answer.content)).get_first_table().array["kind"]
        assert set(map(str, kinds)) <= {text}


@pytest.mark.req("API-ROW-2")
def test_a_token_without_the_scope_is_refused(served: Served) -> None:
    assert get(served, "sky/Object", {"objectId": 1}, token="narrow").status_code == 403
