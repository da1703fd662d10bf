"""Tables that lie in a Butler repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cerro_services.release.errors import ReleaseError
from cerro_services.release.readers import TableSource
from cerro_services.release.readers.parquet import ParquetSource


def dataset_types(table: str) -> tuple[str, str]:
    """Give the dataset types that may hold a table: its name in snake case, and with ``_table``.

    ``DiaObject`` is ``dia_object`` or ``dia_object_table``.
    """
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", table).lower()
    return snake, f"{snake}_table"


@contextmanager
def open_tables(
    repository: str, collection: str, tables: Iterable[str]
) -> Iterator[dict[str, list[TableSource]]]:
    """Open the Parquet files of tables in a Butler repository.

    Parameters
    ----------
    repository
        Path, URI or label of the repository.
    collection
        Collection to search.
    tables
        Names of tables.

    Yields
    ------
    dict
        For each table that the repository has: its files, in the order of their data ids.

    Raises
    ------
    ReleaseError
        The repository or collection cannot be opened, or holds none of the tables.
    """
    from lsst.daf.butler import Butler, MissingCollectionError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        opened = Butler.from_config(repository, writeable=False)
    except (OSError, RuntimeError, ValueError, LookupError, SQLAlchemyError) as error:
        raise ReleaseError(
            f"{repository} cannot be opened as a Butler repository: {error}"
        ) from error
    with ExitStack() as stack:
        stack.callback(opened.close)
        found: dict[str, list[TableSource]] = {}
        try:
            for table in tables:
                refs = _refs(opened, collection, table)
                if refs:
                    found[table] = [_source(opened, ref, stack) for ref in refs]
        except MissingCollectionError as error:
            known = sorted(info.name for info in opened.collections.query_info("*"))
            raise ReleaseError(
                f"{repository} has no collection {collection!r}; it has {', '.join(known)}."
            ) from error
        if not found:
            names = ", ".join(dataset_types(table)[0] for table in tables)
            raise ReleaseError(
                f"Collection {collection!r} of {repository} has no dataset of the schema's tables "
                f"(looked for {names})."
            )
        yield found


def _refs(opened: Any, collection: str, table: str) -> list[Any]:
    from lsst.daf.butler import MissingDatasetTypeError

    for name in dataset_types(table):
        try:
            refs = opened.query_datasets(
                name, collections=collection, find_first=True, limit=None, explain=False
            )
        except MissingDatasetTypeError:
            continue
        if refs:
            return sorted(refs, key=lambda ref: tuple(str(v) for v in ref.dataId.required_values))
    return []


def _source(opened: Any, ref: Any, stack: ExitStack) -> TableSource:
    uri = opened.getURI(ref)
    if uri.getExtension() not in {".parq", ".parquet"}:
        raise ReleaseError(
            f"Dataset {ref} is stored as {uri.getExtension() or 'something unknown'}, not as "
            "Parquet: give its dataset type the storage class ArrowTable or ArrowAstropy."
        )
    return ParquetSource(Path(stack.enter_context(uri.as_local()).ospath))
