"""Cutouts as jobs: SODA's own (SODA 1.0 §2.2), and stamps of whole tables."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from starlette.requests import Request

from cerro_services.access import READ_IMAGE, Caller
from cerro_services.context import Context
from cerro_services.cutout.bulk.archive import join, write_part
from cerro_services.cutout.bulk.plan import Floats, plan
from cerro_services.cutout.bulk.request import Wanted
from cerro_services.cutout.bulk.stamps import stamps
from cerro_services.cutout.errors import CutoutError, DamagedImageError
from cerro_services.cutout.request import Asked
from cerro_services.formats import choose
from cerro_services.images import Image, Images
from cerro_services.parameters import Parameters
from cerro_services.tap.answer import Answer
from cerro_services.tap.jobs import Queries, noted
from cerro_services.tap.question import Question
from cerro_services.tap.tofile import write
from cerro_services.tap.views import Views
from cerro_services.uws import Kind, Pairs, Progress, Task

_FORM = 1_000_000
"""Bytes of a form."""
_POSITIONS = (("ra", "dec"), ("coord_ra", "coord_dec"), ("s_ra", "s_dec"), ("raj2000", "dej2000"))
"""Names of the columns of a position."""
_PARQUET = "application/vnd.apache.parquet"


def kinds(context: Context, views: Views) -> tuple[Kind, Kind]:
    """Make the kinds of jobs that cut.

    Parameters
    ----------
    context
        What the process shares.
    views
        What callers see.
    """
    cutouts, bulk = _Cutouts(context), _Bulk(context, views)
    return (
        Kind(
            "cutout",
            "/api/cutout/async",
            READ_IMAGE,
            run=cutouts.run,
            failure=_failure,
            receive=cutouts.receive,
        ),
        Kind(
            "cutout-bulk",
            "/api/cutout/bulk",
            READ_IMAGE,
            run=bulk.run,
            failure=_failure,
            receive=bulk.receive,
        ),
    )


def _failure(message: str) -> tuple[bytes, str]:
    return f"Error: {message}\n".encode(), "text/plain"


class _Cutouts:
    """SODA, asynchronously."""

    def __init__(self, context: Context) -> None:
        self._images = Images(context)

    async def receive(self, request: Request, _folder: Path, _caller: Caller) -> Pairs:
        """Read the parameters of a request."""
        parameters = await Parameters.read(request, longest=_FORM)
        return tuple((name, value) for name, all_ in parameters.values.items() for value in all_)

    def run(self, task: Task) -> None:
        """Cut what a job asks for."""
        asked = Asked.read(task.parameters, self._images, task.caller)
        body, faults = asked.answer()
        with task.write("result", asked.mime, f"cutout.{asked.mime.split('/')[1]}") as file:
            file.write(body)
        if faults:
            with task.write("faults", "text/plain", "faults.txt") as file:
                file.write("".join(f"{fault}\n" for fault in faults).encode())


class _Bulk:
    """Stamps of whole tables."""

    def __init__(self, context: Context, views: Views) -> None:
        self._context, self._views = context, views
        self._images = Images(context)
        self._queries = Queries(context, views)

    async def receive(self, request: Request, folder: Path, caller: Caller) -> Pairs:
        """Read the parameters of a request, and put its table into the job's folder."""
        pairs = await self._queries.receive(request, folder, caller)
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        Wanted.read(Parameters(values))
        return pairs

    def run(self, task: Task) -> None:
        """Cut the stamps of a job; what was cut before a restart is not cut again."""
        wanted = Wanted.read(task.parameters)
        stopped = threading.Event()
        task.on_stop(stopped.set)
        ra, dec = self._positions(task, wanted)
        works, faults = plan(self._candidates(task.caller, wanted), ra, dec)
        total = sum(len(work.rows) for work in works) or 1
        done = 0
        task.progress = lambda: Progress(100 * done / total, done)
        parts = []
        for number, work in enumerate(works):
            part = task.folder / f"stamps-{number}.parquet"
            try:
                if not part.is_file():
                    write_part(part, work, stamps(work, wanted.size), wanted.size)
                parts.append(part)
            except DamagedImageError as error:
                faults.append(f"{work.image.id}: {error.message}")
            done += len(work.rows)
            if stopped.is_set():
                raise CutoutError("The job was stopped.")
        with task.write("result", _PARQUET, "stamps.parquet") as file:
            join(parts, file, wanted.size)
        for part in parts:
            part.unlink()
        if faults:
            with task.write("faults", "text/plain", "faults.txt") as file:
                file.write("".join(f"{fault}\n" for fault in faults).encode())

    def _positions(self, task: Task, wanted: Wanted) -> tuple[Floats, Floats]:
        """Answer the query that gives the positions."""
        path = task.folder / "positions.parquet"
        if not path.is_file():
            settings = self._context.settings
            question = Question(
                wanted.query, choose("parquet"), settings.maxrec_hard, uploads=noted(task.folder)
            )
            answer = Answer(
                self._context,
                self._views,
                question,
                task.caller,
                seconds=task.job.duration,
                mode="async",
                job=task.job.id,
            )
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                write(answer, cast("IO[bytes]", file))
            partial.rename(path)
        table = pq.read_table(path)
        names = {name.lower(): name for name in table.column_names}
        for ra, dec in _POSITIONS:
            if ra in names and dec in names:
                return _degrees(table[names[ra]]), _degrees(table[names[dec]])
        raise CutoutError(
            f"The table has the columns {', '.join(table.column_names)}; positions are ra and dec, "
            "in degrees. Rename them: SELECT x AS ra, y AS dec."
        )

    def _candidates(self, caller: Caller, wanted: Wanted) -> list[Image]:
        found = self._images.overlapping(
            caller,
            0.0,
            0.0,
            180.0,
            release=wanted.release,
            dataset_type=wanted.dataset_type,
            bands=wanted.bands,
        )
        if wanted.dataset_type is None:
            found = [image for image in found if image.row.get("lsst_tract") is not None] or found
        if not found:
            raise CutoutError("There are no such images that you may see; see ivoa.ObsCore.")
        return found


def _degrees(column: pa.ChunkedArray) -> Floats:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowInvalid as error:
        raise CutoutError("Positions must be numbers of degrees.") from error
