"""Jobs that lay out a user's table anew, at /table-update as CADC's YouCat has them."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request

from cerro_services import usertables
from cerro_services.access import Caller, UnauthorizedError
from cerro_services.context import Context
from cerro_services.formats import votable
from cerro_services.parameters import Parameters
from cerro_services.usertables import WRITE_TABLES
from cerro_services.uws import JobError, Kind, Pairs, Task

KIND = "table-update"
PREFIX = "/api/tap/table-update"
_FORM = 100_000


def kind(context: Context) -> Kind:
    """Make the kind of job.

    Parameters
    ----------
    context
        What the process shares.
    """

    async def receive(request: Request, folder: Path, caller: Caller) -> Pairs:
        del folder
        if caller.name is None:
            raise UnauthorizedError("Tables are changed by users: send a token.")
        parameters = await Parameters.read(request, longest=_FORM)
        return tuple((name, value) for name, all_ in parameters.values.items() for value in all_)

    def run(task: Task) -> None:
        parameters = task.parameters
        table, columns = parameters.get("TABLE"), parameters.get("INDEX")
        if table is None or columns is None:
            raise JobError("TABLE and INDEX are needed: a table, and the columns to index.")
        unique = (parameters.get("UNIQUE") or "false").lower()
        if unique not in {"true", "false"}:
            raise JobError(f"UNIQUE is true or false, not {unique!r}.")
        names = [name.strip().strip('"') for name in columns.split(",") if name.strip()]
        made = usertables.of(context).index(
            task.caller, table, names, parameters.get("INDEX_TYPE") or "", unique=unique == "true"
        )
        with task.write("result", "text/plain", "result.txt") as file:
            file.write(f"{made.nrows:,} rows of {table} are indexed by {columns}.\n".encode())

    return Kind(
        KIND,
        PREFIX,
        WRITE_TABLES,
        run=run,
        failure=lambda message: (votable.failure(message), votable.MIME),
        receive=receive,
    )
