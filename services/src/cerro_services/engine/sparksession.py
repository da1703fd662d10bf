"""A session on a Spark Connect server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pyarrow as pa

from cerro_services.engine.base import EngineError

_SETTINGS = {
    # A sum that overflows, or text that is no number, is refused as DuckDB refuses it.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.caseSensitive": "true",
    # ${env:…} in the text of a query would be replaced by a variable of the server's.
    "spark.sql.variable.substitute": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    # Files are named one by one; their folders need no listing by the cluster.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "32768",
    "spark.sql.crossJoin.enabled": "true",
}
_RETRIES = {"max_retries": 4, "initial_backoff": 100, "max_backoff": 2000}
"""For a network that stumbles. The client's own ten minutes are longer than anybody waits."""


class Session:
    """A session; queries of any number of threads may run in it at once.

    Parameters
    ----------
    url
        Address of the server.

    Raises
    ------
    EngineError
        The server cannot be reached.
    """

    def __init__(self, url: str) -> None:
        from pyspark.errors.exceptions.base import PySparkException
        from pyspark.sql.connect.client import SparkConnectClient

        self._client = SparkConnectClient(url, user_id="cerro", retry_policy=_RETRIES)
        self._client.register_progress_handler(self._advanced)
        self._current = threading.local()
        self._registered: set[str] = set()
        self._lock = threading.Lock()
        messages = self.messages()
        pairs = [messages.KeyValue(key=key, value=value) for key, value in _SETTINGS.items()]
        try:
            self._client.config(
                messages.ConfigRequest.Operation(set=messages.ConfigRequest.Set(pairs=pairs))
            )
        except PySparkException as error:
            raise EngineError(
                "The query cluster cannot be reached. Try again in a minute; "
                "the operator finds the reason in the log."
            ) from error

    @staticmethod
    def check() -> None:
        """Make sure that the client is installed.

        Raises
        ------
        EngineError
            It is not.
        """
        try:
            import pyspark.sql.connect.client  # noqa: F401
            from pyspark.logger import PySparkLogger
        except ImportError as error:
            raise EngineError(
                f"engine: spark needs Spark's client ({error}). Install cerro-services[spark]."
            ) from error
        # It would write each query that fails to stderr, with the server's stack.
        PySparkLogger.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)

    @staticmethod
    def messages() -> ModuleType:
        """Give the module of the protocol's messages."""
        return import_module("pyspark.sql.connect.proto")

    def offer(self, names: Collection[str]) -> None:
        """Register functions that SQL has no words for; they run in Python on the cluster.

        Parameters
        ----------
        names
            Names of kernels of `cerro_services.adql.kernels`.
        """
        from pyspark.util import PythonEvalType

        from cerro_services.adql.kernels import KERNELS

        with self._lock:
            for kernel in KERNELS:
                if kernel.name in names and kernel.name not in self._registered:
                    self._client.register_udf(
                        kernel.run,
                        _TYPES[kernel.result],
                        kernel.name,
                        PythonEvalType.SQL_SCALAR_ARROW_UDF,
                    )
                    self._registered.add(kernel.name)

    def run(
        self, plan: Any, tag: str, advance: Callable[[float], None]
    ) -> Iterator[pa.RecordBatch]:
        """Run a plan; the first batch may be empty.

        Parameters
        ----------
        plan
            What to run.
        tag
            Name by which it can be stopped.
        advance
            Is told from time to time which fraction of the work is done.
        """
        answers = self._client.to_table_as_iterator(plan, {})
        try:
            # The request is made, with the tags of the thread, when its first answer is asked for.
            self._client.add_tag(tag)
            try:
                answer = self._next(answers, advance)
            finally:
                self._client.remove_tag(tag)
            while answer is not None:
                if isinstance(answer, pa.Table):
                    yield from answer.to_batches() or [_empty(answer.schema)]
                answer = self._next(answers, advance)
        finally:
            answers.close()

    def interrupt(self, tag: str) -> bool:
        """Stop what runs by a name.

        Returns
        -------
        bool
            Whether it ran.
        """
        from pyspark.errors.exceptions.base import PySparkException

        try:
            return bool(self._client.interrupt_tag(tag))
        except PySparkException:
            # A server that cannot be reached, or knows the session no more, runs nothing of it.
            return True

    def send_apart(self, plan: Any) -> None:
        """Send the tables in memory of a plan in pieces, which one message could not hold."""
        for reference in plan.root.with_relations.references:
            target = reference.subquery_alias.input
            if target.WhichOneof("rel_type") != "local_relation":
                continue
            local = target.local_relation
            hashes = self._client.cache_artifacts([local.data, local.schema.encode()])
            target.chunked_cached_local_relation.dataHashes.append(hashes[0])
            target.chunked_cached_local_relation.schemaHash = hashes[1]

    def close(self) -> None:
        """Leave the server, which stops what still runs."""
        from pyspark.errors.exceptions.base import PySparkException

        try:
            self._client.release_session()
        except PySparkException:
            logging.getLogger(__name__).debug("session was gone", exc_info=True)
        self._client.close()

    def _next(self, answers: Iterator[Any], advance: Callable[[float], None]) -> Any:
        self._current.advance = advance
        try:
            return next(answers, None)
        finally:
            self._current.advance = None

    def _advanced(self, stages: Any, **_: object) -> None:
        advance = getattr(self._current, "advance", None)
        total = sum(stage.num_tasks for stage in stages or ())
        if advance is not None and total:
            advance(sum(stage.num_completed_tasks for stage in stages) / total)


_TYPES = {
    "BOOLEAN": "boolean",
    "BIGINT": "bigint",
    "DOUBLE": "double",
    "DOUBLE[]": "array<double>",
    "VARCHAR": "string",
}
"""Types of kernels in DuckDB's words and Spark's."""


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
