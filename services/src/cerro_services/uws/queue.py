"""The queue of jobs: huey, over SQLite, PostgreSQL or Redis.

A message means that one more job may run. Which one is chosen from the store when the message
arrives, so that the queue needs to know nothing of owners and limits, and a lost message loses no
job.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import Huey, PostgresHuey, RedisHuey
from huey.storage import RedisStorage, SqliteStorage
from sqlalchemy.engine import make_url

from cerro_services.config import ConfigError, Settings

_NAME = "cerro"
_PATIENCE = 1.0
"""Seconds that a worker waits for a message before it looks whether it should end."""
_AWAY = 2.0
"""Seconds without an answer after which Redis is taken to be away."""


class Queue:
    """Delivers messages to workers.

    Parameters
    ----------
    settings
        For where the messages lie.
    deliver
        What a worker does with a message; callers need none.
    """

    def __init__(self, settings: Settings, deliver: Callable[[], None] | None = None) -> None:
        self.huey = _huey(queue_url(settings))

        # Callers and workers must name the message alike, so it is made here for both.
        @self.huey.task()  # type: ignore[untyped-decorator]
        def run_next() -> None:
            if deliver is not None:
                deliver()

        self._message = run_next

    def send(self) -> None:
        """Say that one more job may run."""
        self._message()

    def close(self) -> None:
        """Give back what the queue holds."""
        storage = self.huey.storage
        if isinstance(storage, RedisStorage):
            storage.pool.disconnect()
        else:
            storage.close()


def queue_url(settings: Settings) -> str:
    """Give where the messages lie: as set, else beside the database or in it."""
    if settings.queue_url:
        return settings.queue_url
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{Path(url.database or '').with_name('queue.sqlite')}"
    return settings.database


def _huey(url: str) -> Huey:
    kind = url.partition(":")[0].partition("+")[0]
    options: dict[str, Any] = {"results": False, "utc": True}
    if kind == "sqlite":
        path = Path(url.partition("///")[2])
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Huey(_NAME, storage_class=AwakeSqliteStorage, filename=str(path), **options)
    if kind in {"postgresql", "postgres"}:
        address = make_url(url).set(drivername="postgresql")
        dsn = address.render_as_string(hide_password=False)
        # The table is made when the database is first there: the services start without it.
        made = PostgresHuey(_NAME, dsn=dsn, create_tables=False, connect_timeout=5, **options)
        _make_when_connected(made.storage)
        return made
    if kind in {"redis", "rediss", "unix"}:
        return RedisHuey(_NAME, connection_pool=_redis(kind, url), **options)
    raise ConfigError(
        f"queue_url must begin with sqlite:///, postgresql:// or redis://, not {kind}:."
    )


def _redis(kind: str, url: str) -> Any:
    """Give connections to Redis; they are opened when they are first used."""
    try:
        from redis import ConnectionPool
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigError(
            f"queue_url is {kind}://…, which needs the package redis: "
            "pip install 'cerro-services[redis]'."
        ) from error
    # Whoever sends goes on without the message, so no one waits for a Redis that is away. Tried
    # once more, as a connection may be of before it was restarted.
    patience = {"socket_connect_timeout": _AWAY, "socket_timeout": _PATIENCE + _AWAY}
    try:
        pool = ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 1), **patience)
    except ValueError as error:
        raise ConfigError(f"queue_url is no address of Redis: {error}.") from error
    return pool


def _make_when_connected(storage: Any) -> None:
    connect = storage._create_connection

    def prepared() -> Any:
        connection = connect()
        for statement in storage.ddl:
            connection.execute(statement)
        return connection

    storage._create_connection = prepared


class AwakeSqliteStorage(SqliteStorage):  # type: ignore[misc]
    """Messages in SQLite, and a pipe beside them that wakes whoever waits for one.

    SQLite tells nobody that a row came. Without the pipe a worker would look again and again, which
    costs either time or a processor.
    """

    blocking = True

    def __init__(self, name: str, filename: str, **options: Any) -> None:
        # Without fsync a message can be lost with the machine's power; its job is found again when
        # the worker starts.
        super().__init__(name, filename, fsync=False, **options)
        self._pipe = Path(f"{filename}.wake")
        self._waiting: int | None = None
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._pipe, 0o600)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Add a message and wake a worker."""
        super().enqueue(data, priority)
        try:
            pipe = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return  # No worker waits. It will look when it starts.
        try:
            # A full pipe has woken everybody already.
            with contextlib.suppress(OSError):
                os.write(pipe, b"!")
        finally:
            os.close(pipe)

    def dequeue(self) -> bytes | None:
        """Give a message; wait a while if there is none."""
        found: bytes | None = super().dequeue()
        if found is not None:
            return found
        with self.lock:
            if self._waiting is None:
                # Open for writing too, so that it never ends.
                self._waiting = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK)
        ready, _, _ = select.select([self._waiting], [], [], _PATIENCE)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._waiting, 1)
        again: bytes | None = super().dequeue()
        return again
