"""Whether the service can answer, found out by asking it (VOSI 1.1 §2.2)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cerro_services.context import Context
from cerro_services.errors import CerroError
from cerro_services.release import Release
from cerro_services.tap.sync import Views
from cerro_services.tap.tapschema import qualified
from cerro_services.voxml import add, document, root

log = logging.getLogger(__name__)

_FRESH = 5.0
"""Seconds for which a finding holds: monitors ask often, and from many places."""
_SAMPLE = "SELECT TOP 1 * FROM {}"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    good
        Whether what was checked works.
    note
        What works, or fails and for whom.
    """

    good: bool
    note: str


class Availability:
    """Finds out whether TAP can answer.

    Parameters
    ----------
    context
        What the services share.
    views
        What callers see.
    more
        Further checks.
    """

    def __init__(
        self, context: Context, views: Views, more: Sequence[Callable[[], Finding]] = ()
    ) -> None:
        self._context = context
        self._views = views
        self._checks: tuple[Callable[[], Finding], ...] = (
            self._releases,
            *([self._buckets] if context.store.mirrors else []),
            self._database,
            *more,
        )
        self._lock = Lock()
        self._until = 0.0
        self._found: tuple[Finding, ...] = ()

    def document(self) -> bytes:
        """Write the document of VOSI availability; blocks for as long as the checks take."""
        settings, now = self._context.settings, datetime.now(UTC)
        found = self._current()
        down = settings.down_at is not None and settings.down_at <= now
        down = down and (settings.back_at is None or now < settings.back_at)
        made = root("availability", "availability")
        up = all(finding.good for finding in found) and not down
        times = {"downAt": settings.down_at, "backAt": settings.back_at}
        _add(made, "available", str(up).lower())
        _add(made, "upSince", _utc(self._context.started))
        for name, when in times.items():
            if when is not None and (settings.back_at is None or now < settings.back_at):
                _add(made, name, _utc(when))
        for note in filter(None, (settings.notice, *(finding.note for finding in found))):
            _add(made, "note", note)
        return document(made)

    def _current(self) -> tuple[Finding, ...]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._found = tuple(check() for check in self._checks)
                self._until = time.monotonic() + _FRESH
            return self._found

    def _releases(self) -> Finding:
        """Answer a small query on every release, as a client would."""
        started = time.monotonic()
        try:
            releases = self._context.store.published()
            everything = self._views.view(releases, frozenset().union(*map(_groups, releases)))
            for schema in everything.schemas:
                table = qualified(schema.name, schema.tables[0].name)
                query = self._views.query(everything, _SAMPLE.format(table))
                stream = self._context.engine.stream(query, limit=1)
                try:
                    for _ in stream:
                        pass
                finally:
                    stream.close()
        except CerroError as error:
            # Everybody may ask: which table it is, of a release they may not know of, the log says.
            log.warning("not available: %s", error.message)
            return Finding(
                good=False,
                note="A release does not answer queries. The operator finds it in the log.",
            )
        except OSError as error:
            log.warning("not available: %s", error)
            return Finding(good=False, note="The release store cannot be read.")
        took = (time.monotonic() - started) * 1e3
        note = f"Every release answered a query, all of them within {took:.0f} ms."
        return Finding(good=True, note=note)

    def _buckets(self) -> Finding:
        """Say whether the object stores were there when they were last asked."""
        if self._context.store.troubles():
            # Where it is, and what it said, the log says.
            return Finding(
                good=False,
                note="An object store does not give its releases. Queries are answered whose data "
                "are here already.",
            )
        return Finding(good=True, note="Every object store of releases answers.")

    def _database(self) -> Finding:
        """Read the database of jobs."""
        try:
            with self._context.database.connect() as connection:
                connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, OSError) as error:
            log.warning("not available: %s", error)
            return Finding(
                good=False,
                note="The database of jobs and users' tables does not answer. "
                "Synchronous queries of the releases are still answered.",
            )
        return Finding(good=True, note="The database of jobs answers.")


def _add(parent: object, name: str, value: str) -> None:
    add(parent, name, value, prefix="availability")  # type: ignore[arg-type]


def _utc(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _groups(release: Release) -> frozenset[str]:
    """Give all groups that the rules of a release name."""
    rules = [release.access.default, *release.access.tables.values()]
    return frozenset().union(*(rule for rule in rules if rule))
