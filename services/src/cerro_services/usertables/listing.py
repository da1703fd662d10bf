"""Which tables callers may read, remembered by each process until any process changes one."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import sqlalchemy as sa

from cerro_services.access import Caller
from cerro_services.usertables.model import UserTable
from cerro_services.usertables.store import UserTableStore

_KNOWN = 4096


class Listing:
    """Remembers what callers may read: asking the database would cost every query a millisecond.

    A file that is replaced at each change tells all processes that there was one.

    Parameters
    ----------
    store
        Where tables are remembered.
    root
        Folder of all users' tables.
    """

    def __init__(self, store: UserTableStore, root: Path) -> None:
        self._store = store
        self._stamp = root / ".changed"
        self._seen: dict[object, tuple[object, tuple[UserTable, ...]]] = {}
        self._lock = threading.Lock()
        if self._stamp.exists():
            # A process may have been killed between a change and its mark.
            self.changed()

    def of(self, caller: Caller) -> tuple[UserTable, ...]:
        """Give the tables that a caller may read; remembered until any table changes."""
        key = (caller.name, caller.groups)
        stamp = self._mark()
        known = self._seen.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        # The stamp was read first: a change in between is seen the next time.
        try:
            found = tuple(self._store.visible(caller)) if stamp is not None else ()
        except sa.exc.OperationalError:
            if known is None and caller.name is not None:
                raise
            # The database is away: the public's queries, and those of who was here, are answered.
            return () if known is None else known[1]
        with self._lock:
            if len(self._seen) >= _KNOWN:
                self._seen.clear()
            self._seen[key] = (stamp, found)
        return found

    def _mark(self) -> object:
        """Tell the last change of any table by any process; None before the first."""
        try:
            # Opened rather than looked up: a network filesystem then asks its server.
            with self._stamp.open("rb") as stream:
                return stream.read(64)
        except FileNotFoundError:
            return None

    def changed(self) -> None:
        """Let every process look again."""
        self._stamp.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._stamp.with_name(f".changed.{secrets.token_hex(8)}")
        new.write_bytes(secrets.token_hex(16).encode())
        new.replace(self._stamp)
