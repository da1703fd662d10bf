"""Tables that belong to users, and who may do what with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cerro_services.access import Caller
from cerro_services.errors import CerroError
from cerro_services.release import Column
from cerro_services.release.model import TableModel

OWN = "mydb"
"""Schema of one's own tables."""
SHARED = "user_"
"""Begins the schema of another's tables; the owner's name follows."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


class UserTableError(CerroError, code="table_error", status=400):
    """A user's table is not as it should be, or something wrong is asked of it."""


class UserTableNotFoundError(CerroError, code="table_not_found", status=404):
    """There is no such table, or not for this caller."""


class UserTableForbiddenError(CerroError, code="table_forbidden", status=403):
    """The caller sees the table but may not do this with it."""


class UserTableExistsError(CerroError, code="table_exists", status=409):
    """A table of this name is there already, or was changed meanwhile."""


class UserTableQuotaError(CerroError, code="quota_exceeded", status=413):
    """The caller would keep more than they may."""


@dataclass(frozen=True)
class Sharing:
    """Who may read and write a table besides its owner.

    Parameters
    ----------
    public
        Whether everybody may read it.
    read, write
        Groups that may read, and read and add rows; None for no group.
    """

    public: bool = False
    read: str | None = None
    write: str | None = None


@dataclass(frozen=True)
class UserTable:
    """A table of a user.

    Parameters
    ----------
    id
        Its identifier, which outlives changes of its rows.
    version
        Identifier of its rows: each change makes new files.
    owner
        Name of the user.
    model
        Its columns, key and position.
    sharing
        Who else may use it.
    nrows, nbytes
        How much it holds.
    created, changed, expires
        When it was made, changed, and will be deleted [s since 1970].
    """

    id: str
    version: str
    owner: str
    model: TableModel
    sharing: Sharing
    nrows: int
    nbytes: int
    created: float
    changed: float
    expires: float

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.model.name

    def schema_for(self, caller: Caller) -> str:
        """Give the schema under which a caller sees it."""
        return OWN if caller.name == self.owner else f"{SHARED}{self.owner}"

    def readable(self, caller: Caller) -> bool:
        """Whether a caller may read it."""
        if caller.name is not None and caller.name == self.owner:
            return True
        groups = {self.sharing.read, self.sharing.write} - {None}
        return self.sharing.public or bool(groups & caller.groups)

    def writable(self, caller: Caller) -> bool:
        """Whether a caller may add rows, indexes and descriptions."""
        owns = caller.name is not None and caller.name == self.owner
        return owns or (caller.name is not None and self.sharing.write in caller.groups)


def table_name(text: str) -> str:
    """Check the name of a table to be made.

    Raises
    ------
    UserTableError
        It is none.
    """
    if not _NAME.fullmatch(text):
        raise UserTableError(
            f"{text[:80]!r} cannot name a table: give letters, digits and underscores, beginning "
            "with a letter, 63 at most."
        )
    return text


def split(text: str) -> tuple[str, str]:
    """Split the name of a table into schema and name.

    Parameters
    ----------
    text
        ``mydb.name``, ``user_owner.name``, or ``name`` alone for an own one.

    Raises
    ------
    UserTableNotFoundError
        It is a table of another schema, which no user owns.
    """
    schema, _, name = text.rpartition(".")
    schema, name = schema.strip('"'), name.strip('"')
    if not schema or schema.lower() == OWN:
        return OWN, name
    if schema.lower().startswith(SHARED):
        return schema, name
    raise UserTableNotFoundError(
        f"{text} is not a table of a user. Own tables are {OWN}.NAME, those of others "
        f"{SHARED}OWNER.NAME."
    )


def to_json(model: TableModel) -> str:
    """Write a model for the database."""
    return json.dumps(asdict(model), separators=(",", ":"))


def from_json(text: str) -> TableModel:
    """Read what `to_json` wrote."""
    document: dict[str, Any] = json.loads(text)
    columns = tuple(Column(**_known(column)) for column in document.pop("columns"))
    for name in ("key", "indexes"):
        document[name] = tuple(document[name])
    wanted = TableModel.__dataclass_fields__
    return TableModel(columns=columns, **{k: v for k, v in document.items() if k in wanted})


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k in Column.__dataclass_fields__}
