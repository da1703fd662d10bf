"""Jobs whose result is kept as a table: the parameter DEST=mydb.name (CREATE TABLE AS)."""

from __future__ import annotations

from dataclasses import replace
from typing import IO, cast

import pyarrow as pa

from cerro_services import usertables
from cerro_services.access import Caller, UnauthorizedError
from cerro_services.adql import ResultColumn
from cerro_services.context import Context
from cerro_services.formats import Frame, choose, describe
from cerro_services.parameters import Parameters
from cerro_services.tap.answer import Answer
from cerro_services.tap.question import Question
from cerro_services.tap.tofile import write
from cerro_services.uploads import Upload, UploadLimits, read
from cerro_services.usertables import OWN, WRITE_TABLES, UserTable, UserTableError
from cerro_services.usertables.model import UserTableQuotaError, table_name
from cerro_services.uws import Task

PARAMETER = "DEST"
_FORMAT = "parquet"
_COLUMNS = (
    ResultColumn("table_name", "char", "*", description="Name of the table that was made"),
    ResultColumn("nrows", "long", description="Its rows"),
    ResultColumn("nbytes", "long", unit="byte", description="Its size"),
)


def destination(parameters: Parameters, caller: Caller) -> str | None:
    """Give the table in which a result is to be kept.

    Parameters
    ----------
    parameters
        Of the job.
    caller
        Whose job it is.

    Returns
    -------
    str or None
        Its name without the schema; None if the result is none.

    Raises
    ------
    UserTableError, ForbiddenError, UnauthorizedError
        It cannot be kept there, or not by this caller.
    """
    text = parameters.get(PARAMETER)
    if text is None:
        return None
    if caller.name is None:
        raise UnauthorizedError(f"{PARAMETER} keeps the result as a table of yours: send a token.")
    caller.require(WRITE_TABLES)
    schema, _, name = text.strip().rpartition(".")
    if schema.lower() not in {"", OWN}:
        raise UserTableError(f"{PARAMETER}={text[:80]} is no table of yours: write {OWN}.NAME.")
    return table_name(name)


def widened(question: Question, parameters: Parameters, most: int) -> Question:
    """Let a question that gives no MAXREC have as many rows as may be: a table is to be whole."""
    return question if parameters.get("MAXREC") is not None else replace(question, maxrec=most)


def keep(context: Context, answer: Answer, task: Task, name: str) -> None:
    """Answer a query into a table.

    Parameters
    ----------
    context
        What the process shares.
    answer
        The answer, not begun; its format is that of the job's own result, which tells of the table.
    task
        The job.
    name
        Name of the table.

    Raises
    ------
    UserTableError
        Rows would be missing though none were to be left out.
    """
    told = answer.question.form
    answer.question = replace(answer.question, form=choose(_FORMAT, None))
    path = task.folder / "kept.parquet"
    try:
        with path.open("wb") as file:
            bounded = _Bounded(file, int(task.quota.table_bytes))
            outcome = write(answer, cast("IO[bytes]", bounded))
        if outcome.overflow and task.parameters.get("MAXREC") is None:
            raise UserTableError(
                f"The result has more than {answer.question.maxrec:,} rows, so {OWN}.{name} would "
                "not be whole. Ask for fewer, or set MAXREC to have only so many."
            )
        limits = UploadLimits(total=int(task.quota.table_bytes), rows=max(1, outcome.rows))
        content = read(Upload(name, path), limits)
        table = usertables.of(context).create(
            task.caller, name, content, description=f"Result of: {answer.question.adql[:2000]}"
        )
    finally:
        for left in task.folder.glob("kept.parquet*"):
            left.unlink()
    batch = _row(table)
    fields = describe(_COLUMNS, batch.schema)
    writer = told.writer(fields, Frame((("QUERY", answer.question.adql),)))
    with task.write("result", told.mime, f"result.{told.extension}") as result:
        result.write(writer.begin())
        result.write(writer.rows(batch))
        for piece in writer.end():
            result.write(piece)


class _Bounded:
    """A file that takes no more than a user may keep: a disk is full before a table is."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most = file, most
        self._size = 0

    def write(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._most:
            raise UserTableQuotaError(
                f"Your tables may have {self._most:,} bytes in all, and this result has more. Keep "
                "fewer rows or columns."
            )
        self._file.write(piece)


def _row(table: UserTable) -> pa.RecordBatch:
    values = [[f"{OWN}.{table.name}"], [table.nrows], [table.nbytes]]
    return pa.RecordBatch.from_arrays(
        [pa.array(values[0]), pa.array(values[1]), pa.array(values[2])],
        names=[column.name for column in _COLUMNS],
    )
