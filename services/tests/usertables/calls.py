"""A user's tables, as a client makes, fills and asks them."""

from __future__ import annotations

import time

import httpx
from services.tests.serving import Served

CSV = b"id,ra,dec,word\n1,10.5,-3,one\n2,200.25,45,two\n3,0.5,0.25,three\n"


def client_of(served: Served, token: str | None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=served.tap + "/", timeout=60, headers=headers)


def ask(client: httpx.Client, query: str) -> list[str]:
    answer = client.post("sync", data={"QUERY": query, "RESPONSEFORMAT": "csv"})
    assert answer.status_code == 200, answer.text
    return answer.text.split("\r\n")[1:-1]


def put(client: httpx.Client, name: str, content: bytes, mime: str = "text/csv") -> None:
    answer = client.put(f"tables/{name}", content=content, headers={"Content-Type": mime})
    assert answer.status_code == 201, answer.text


def finished(client: httpx.Client, job: str) -> str:
    client.post(f"{job}/phase", data={"PHASE": "RUN"})
    until = time.monotonic() + 60
    while time.monotonic() < until:
        phase = client.get(f"{job}?WAIT=10").text
        for end in ("COMPLETED", "ERROR", "ABORTED"):
            if f">{end}<" in phase:
                return end
    raise AssertionError(f"{job} did not end: {phase}")
