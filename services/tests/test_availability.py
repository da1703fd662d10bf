"""Availability tells the truth (VOSI 1.1 §2.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree
from sqlalchemy import event

from cerro_services.config import Settings
from cerro_services.context import Context
from cerro_services.release import ReleaseStore
from cerro_services.tap.availability import Availability, Finding
from cerro_services.tap.views import Views

NAME = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}"


def found(context: Context, *more: Finding) -> etree._Element:
    checks = [lambda finding=finding: finding for finding in more]
    return etree.fromstring(Availability(context, Views(), checks).document())


def notes(document: etree._Element) -> str:
    return "\n".join(note.text or "" for note in document.iterfind(f"{NAME}note"))


@pytest.fixture
def settings(store: ReleaseStore, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, releases=store.root, threads=1, memory="300MB")


@pytest.mark.req("VO-5")
def test_it_says_what_it_asked(settings: Settings) -> None:
    document = found(Context.build(settings), Finding(good=True, note="A worker runs."))
    assert document.findtext(f"{NAME}available") == "true"
    assert "Every release answered a query" in notes(document)
    assert "The database of jobs answers." in notes(document)
    assert "A worker runs." in notes(document)


@pytest.mark.req("VO-5")
def test_without_its_database_it_is_not_available(settings: Settings) -> None:
    context = Context.build(settings)

    @event.listens_for(context.database, "do_connect")
    def away(*_arguments: object) -> None:
        raise OSError("the database's machine is off")

    context.database.dispose()
    document = found(context)
    assert document.findtext(f"{NAME}available") == "false"
    assert "database of jobs and users' tables does not answer" in notes(document)
    assert "machine is off" not in notes(document), "the operator finds that in the log"


@pytest.mark.req("VO-5")
def test_a_finding_holds_for_a_moment(settings: Settings) -> None:
    asked = []

    def count() -> Finding:
        asked.append(1)
        return Finding(good=True, note="counted")

    availability = Availability(Context.build(settings), Views(), [count])
    for _ in range(5):
        availability.document()
    assert len(asked) == 1


@pytest.mark.req("VO-5")
@pytest.mark.parametrize(
    ("down", "back", "available", "told"),
    [
        (-1, 1, "false", {"downAt", "backAt"}),
        (1, 2, "true", {"downAt", "backAt"}),
        (-2, -1, "true", set()),
        (-1, None, "false", {"downAt"}),
    ],
)
def test_an_announced_stop_is_told(
    settings: Settings, down: int, back: int | None, available: str, told: set[str]
) -> None:
    now = datetime.now(UTC)
    stop = {
        "down_at": now + timedelta(hours=down),
        "back_at": None if back is None else now + timedelta(hours=back),
        "notice": "New disks & <more>",
    }
    document = found(Context.build(settings.model_copy(update=stop)))
    assert document.findtext(f"{NAME}available") == available
    times = {e.tag.removeprefix(NAME) for e in document if e.tag.endswith("At")}
    assert times == told
    assert "New disks & <more>" in notes(document)


@pytest.mark.req("TAP-12")
def test_a_time_without_zone_is_utc(settings: Settings) -> None:
    given = Settings(home=settings.home, down_at="2026-12-01T08:00:00")  # type: ignore[arg-type]
    assert given.down_at == datetime(2026, 12, 1, 8, tzinfo=UTC)
