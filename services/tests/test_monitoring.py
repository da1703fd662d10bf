"""Counts for Prometheus, and logs."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from structlog.contextvars import bound_contextvars
from tests.support.waiting import eventually

from cerro_services import counting, logs

from .serving import Served


def samples(text: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.req("MON-1")
def test_queries_and_requests_are_counted(served: Served) -> None:
    def counted() -> tuple[float, float]:
        text = httpx.get(f"{served.url}/metrics").text
        queries = samples(text, "cerro_queries_total")
        requests = samples(text, "cerro_http_requests_total")
        asked = (("format", "csv"), ("mode", "sync"), ("outcome", "ok"))
        sent = (("method", "POST"), ("service", "tap"), ("status", "200"))
        return queries.get(asked, 0), requests.get(sent, 0)

    before = counted()
    form = {"QUERY": "SELECT visit FROM sky.Visit", "FORMAT": "csv"}
    httpx.post(f"{served.tap}/sync", data=form)
    assert counted() == (before[0] + 1, before[1] + 1)
    rows = samples(httpx.get(f"{served.url}/metrics").text, "cerro_release_rows")
    assert any(dict(labels)["release"] == "sky" for labels in rows)


@pytest.mark.req("MON-1")
def test_clients_cannot_make_new_series(served: Served) -> None:
    for n in range(20):
        httpx.get(f"{served.url}/api/odd{n}/x")
    found = samples(httpx.get(f"{served.url}/metrics").text, "cerro_http_requests_total")
    services = {dict(labels)["service"] for labels in found}
    assert "other" in services
    assert services <= {"tap", "cone", "oai", "releases", "healthz", "other"}


@pytest.mark.req("MON-1")
def test_processes_count_together_and_the_dead_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / "counter_99999999.db").write_bytes(b"of a process that is gone")
    program = (
        "import sys; from pathlib import Path\n"
        "from cerro_services.counting import prepare\n"
        f"prepare(Path({str(tmp_path)!r}))\n"
        "from cerro_services import metrics\n"
        "metrics.request('GET', '/api/tap/sync', 200)\n"
        "from prometheus_client import CollectorRegistry, generate_latest\n"
        "from prometheus_client.multiprocess import MultiProcessCollector\n"
        "registry = CollectorRegistry(); MultiProcessCollector(registry)\n"
        "print(generate_latest(registry).decode()) if len(sys.argv) > 1 else input()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as first:

        def counts() -> bool:
            assert first.poll() is None
            return bool(list(tmp_path.glob(f"counter_{first.pid}.db")))

        eventually(counts, "the first process counts")
        told = subprocess.run([*command, "tell"], capture_output=True, text=True, check=True)
        first.communicate("\n")
    (count,) = samples(told.stdout, "cerro_http_requests_total").values()
    assert count == 2
    assert not (tmp_path / "counter_99999999.db").exists()
    assert counting.FOLDER not in os.environ


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    made = io.StringIO()
    logs.configure("info", stream=made)
    yield made
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.req("MON-2")
def test_a_line_is_json_and_names_its_request(stream: io.StringIO) -> None:
    with bound_contextvars(request="r1"):
        structlog.get_logger("cerro.query").info("query", who="vera", rows=3, query="SELECT é")
        logging.getLogger("cerro_services.x").warning("not %s", "good", extra={"table": "a.b"})
    first, second = lines(stream)
    assert (first["event"], first["who"], first["rows"], first["query"]) == (
        "query", "vera", 3, "SELECT é",
    )  # fmt: skip
    assert (second["event"], second["level"], second["table"]) == ("not good", "warning", "a.b")
    assert first["request"] == second["request"] == "r1"
    assert str(first["timestamp"]).endswith("Z")


@pytest.mark.req("MON-2")
def test_tokens_and_passwords_are_never_logged(stream: io.StringIO) -> None:
    log = structlog.get_logger("x")
    log.info("asked", authorization="Bearer abcdef123456", token="abcdef123456")
    log.info("Authorization: Bearer abcdef123456 was sent, or Basic dXNlcjphYmNkZWYxMjM0NTY=")
    log.info("postgresql+psycopg://cerro:abcdef123456@db/cerro?password=abcdef123456")
    try:
        raise RuntimeError("sent token abcdef123456 to http://h/?access_token=abcdef123456")
    except RuntimeError:
        logging.getLogger("y").exception("failed")
    written = stream.getvalue()
    assert "abcdef123456" not in written
    assert "dXNlcjp" not in written
    assert "RuntimeError" in written
    assert len(lines(stream)) == 4


@pytest.mark.req("MON-2")
def test_a_text_that_is_very_long_is_cut(stream: io.StringIO) -> None:
    structlog.get_logger("x").info("query", query="SELECT 1, " * 10_000)
    (line,) = lines(stream)
    assert len(str(line["query"])) < 3000
    assert "100,000 characters" in str(line["query"])
