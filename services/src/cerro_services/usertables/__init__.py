"""Tables that users keep: from uploads and results, shared with groups, within a quota."""

from cerro_services.usertables.model import (
    OWN,
    Sharing,
    UserTable,
    UserTableError,
    UserTableNotFoundError,
)
from cerro_services.usertables.tables import WRITE_TABLES, UserTables, of, query_table
from cerro_services.usertables.upkeep import upkeep

__all__ = [
    "OWN",
    "WRITE_TABLES",
    "Sharing",
    "UserTable",
    "UserTableError",
    "UserTableNotFoundError",
    "UserTables",
    "of",
    "query_table",
    "upkeep",
]
