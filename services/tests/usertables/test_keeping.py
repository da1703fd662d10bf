"""Users' tables without the services around them: quota, expiry, and what a crash leaves."""

from __future__ import annotations

import time

import pytest
from pyarrow import parquet

from cerro_services.access import Caller
from cerro_services.config import Settings
from cerro_services.database import connect
from cerro_services.quotas import Quotas
from cerro_services.uploads import Upload, UploadLimits, read
from cerro_services.usertables import UserTables
from cerro_services.usertables.model import Sharing, UserTableQuotaError


class Shelf:
    """Users' tables without the services around them."""

    def __init__(self, home: object, **settings: object) -> None:
        self.settings = Settings(home=home, **settings)
        self.database = connect(self.settings.database)
        quotas = Quotas({"default": {"table_bytes": 20_000}})
        self.tables = UserTables(self.settings, quotas, self.database)
        self.ada = Caller("ada", frozenset(), frozenset({"custom:read:tap", "custom:write:tables"}))

    def content(self, rows: int) -> object:
        path = self.settings.home / "in.csv"
        lines = "".join(f"{i},{i * 0.1}\n" for i in range(rows))
        path.write_text("id,x\n" + lines)
        return read(Upload("t", path, "text/csv"), UploadLimits())


@pytest.mark.req("MYDB-9")
def test_nobody_keeps_more_than_their_quota(tmp_path: object) -> None:
    shelf = Shelf(tmp_path)
    shelf.tables.create(shelf.ada, "small", shelf.content(100))
    with pytest.raises(UserTableQuotaError, match="20,000 bytes in all"):
        shelf.tables.create(shelf.ada, "large", shelf.content(5000))
    assert [table.name for table in shelf.tables.visible(shelf.ada)] == ["small"]
    folders = list((shelf.settings.usertables / "ada").iterdir())
    assert len(folders) == 1


@pytest.mark.req("MYDB-10")
def test_a_table_expires_unless_it_is_kept(tmp_path: object) -> None:
    shelf = Shelf(tmp_path)
    shelf.tables.create(shelf.ada, "t", shelf.content(10))
    shelf.tables.create(shelf.ada, "u", shelf.content(10))
    shelf.tables.keep(shelf.ada, "t", time.time() - 1)
    shelf.tables.keep(shelf.ada, "u")
    assert [table.name for table in shelf.tables.visible(shelf.ada)] == ["u"]
    assert shelf.tables.sweep() == 1
    shelf.tables.create(shelf.ada, "t", shelf.content(3))
    assert {table.name: table.nrows for table in shelf.tables.visible(shelf.ada)} == {
        "t": 3, "u": 10,
    }  # fmt: skip


@pytest.mark.req("MYDB-10")
def test_files_stay_while_a_query_may_read_them(tmp_path: object) -> None:
    shelf = Shelf(tmp_path)
    table = shelf.tables.create(shelf.ada, "t", shelf.content(10))
    catalog = shelf.tables.files.catalog("ada", table.version)
    shelf.tables.drop(shelf.ada, "t")
    shelf.tables.sweep()
    assert parquet.read_table(catalog.files[0].path).num_rows == 10
    assert shelf.tables.files.sweep(set(), grace=-1) == 1
    assert not catalog.root.exists()


@pytest.mark.req("MYDB-11")
def test_a_table_that_was_not_finished_is_no_table(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    shelf.tables.create(shelf.ada, "t", shelf.content(10))

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shelf.tables.store, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            shelf.tables.index(shelf.ada, "t", ["id"], unique=True)
    (kept,) = UserTables(shelf.settings, Quotas({}), connect(shelf.settings.database)).visible(
        shelf.ada
    )
    assert kept.model.key == ()
    assert shelf.tables.files.catalog("ada", kept.version).nrows == 10


@pytest.mark.req("MYDB-4")
def test_sharing_is_by_groups_that_one_belongs_to(tmp_path: object) -> None:
    shelf = Shelf(tmp_path, public_tables=True)
    shelf.tables.create(shelf.ada, "t", shelf.content(10), Sharing(public=True))
    anybody = Caller(None, frozenset(), frozenset())
    assert [t.schema_for(anybody) for t in shelf.tables.visible(anybody)] == ["user_ada"]
    shelf.tables.share(shelf.ada, "t", Sharing())
    assert shelf.tables.visible(anybody) == ()
