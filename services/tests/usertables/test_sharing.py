"""Who sees, reads and writes the tables of others, over HTTP."""

from __future__ import annotations

import httpx
import pytest
from services.tests.serving import Served
from services.tests.usertables.calls import CSV, ask, client_of, put


@pytest.mark.req("MYDB-4")
def test_nobody_sees_anothers_table(
    client: httpx.Client, mate: httpx.Client, public: httpx.Client
) -> None:
    put(client, "mydb.mine", CSV)
    listed = "SELECT table_name FROM tap_schema.tables WHERE table_name LIKE '%mine%'"
    assert ask(client, listed) == ["mydb.mine"]
    assert "mydb.mine" in client.get("tables").text
    for other in (mate, public):
        assert ask(other, listed) == []
        assert "mine" not in other.get("tables").text
        for written in (
            "mydb.mine", "mine", "user_grace.mine", '"user_grace".mine', '"mydb"."mine"',
        ):  # fmt: skip
            answer = other.post("sync", data={"QUERY": f"SELECT * FROM {written}"})
            assert answer.status_code == 400
            assert "There is no table" in answer.text
            assert "one" not in answer.text.replace("none", "").replace("done", "").split()
        assert other.get("tables/user_grace.mine").status_code == 404
    assert mate.delete("tables/user_grace.mine").status_code in {403, 404}
    assert mate.post("load/user_grace.mine", content=CSV).status_code in {403, 404}
    assert public.put("tables/mydb.t", content=CSV).status_code == 401


@pytest.mark.req("MYDB-5")
def test_a_group_reads_and_then_writes(client: httpx.Client, mate: httpx.Client) -> None:
    answer = client.put(
        "tables/mydb.mine",
        content=CSV,
        headers={"Content-Type": "text/csv", "x-vosi-group-read": "ivo://cerro/gms?team"},
    )
    assert answer.status_code == 201
    assert ask(mate, "SELECT COUNT(*) FROM user_grace.mine") == ["3"]
    assert "user_grace.mine" in mate.get("tables").text
    more = {"content": b"id,ra,dec,word\n9,1,2,nine\n", "headers": {"Content-Type": "text/csv"}}
    assert mate.post("load/user_grace.mine", **more).status_code == 403
    said = client.post("permissions/mydb.mine", content="r-group=\nrw-group=team")
    assert said.status_code == 200, said.text
    assert client.get("permissions/mydb.mine").text.splitlines() == [
        "owner=grace", "public=false", "r-group=", "rw-group=team",
    ]  # fmt: skip
    added = mate.post("load/user_grace.mine", **more)
    assert added.status_code == 200, added.text
    assert ask(client, "SELECT COUNT(*) FROM mydb.mine") == ["4"]
    assert mate.delete("tables/user_grace.mine").status_code == 403
    assert mate.post("permissions/user_grace.mine", content="public=true").status_code == 403
    client.post("permissions/mydb.mine", content="rw-group=")
    assert mate.get("tables/user_grace.mine").status_code == 404


@pytest.mark.req("MYDB-5")
@pytest.mark.parametrize(
    ("text", "status"),
    [("junk=1", 400), ("public=yes", 400), ("public=true", 403), ("r-group=strangers", 400),
     ("owner=me", 400)],
)  # fmt: skip
def test_wrong_permissions_are_refused(client: httpx.Client, text: str, status: int) -> None:
    put(client, "mydb.mine", CSV)
    assert client.post("permissions/mydb.mine", content=text).status_code == status


@pytest.mark.req("MYDB-6")
def test_a_token_without_the_scope_keeps_nothing(served: Served) -> None:
    with client_of(served, "good") as reader:
        refused = reader.put("tables/mydb.t", content=CSV)
        assert refused.status_code == 403
        assert "custom:write:tables" in refused.text
        refused = reader.post("async", data={"QUERY": "SELECT 1 AS a", "DEST": "mydb.t"})
        assert refused.status_code == 403
