"""Someone who runs asynchronous jobs, and what they run."""

from __future__ import annotations

from typing import Any

import httpx
from lxml import etree
from services.tests.serving import Served

QUERY = "SELECT TOP 3 objectId, ra FROM sky.Object ORDER BY objectId"
HEAVY = (
    "SELECT COUNT(*) AS n FROM sky.Object AS a JOIN sky.Object AS b ON a.ra + b.dec < a.dec "
    "JOIN sky.Object AS c ON a.ra + b.ra + c.dec < c.flux"
)
"""Runs for hours: a join of every object with all pairs of others."""
UWS = "{http://www.ivoa.net/xml/UWS/v1.0}"
ENDED = {"COMPLETED", "ERROR", "ABORTED"}


class Client:
    """Someone who runs jobs.

    Parameters
    ----------
    served
        The services.
    token
        Their token; empty for none.
    """

    def __init__(self, served: Served, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(headers=headers, timeout=70)
        self.list = f"{served.tap}/async"

    def create(self, query: str = QUERY, **parameters: str) -> str:
        answer = self.http.post(self.list, data={"LANG": "ADQL", "QUERY": query, **parameters})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def get(self, address: str, **parameters: Any) -> httpx.Response:
        return self.http.get(address, params=parameters)

    def post(self, address: str, **form: str) -> httpx.Response:
        return self.http.post(address, data=form)

    def job(self, address: str, **parameters: Any) -> dict[str, str | None]:
        answer = self.get(address, **parameters)
        assert answer.status_code == 200, answer.text
        root = etree.fromstring(answer.content)
        return {child.tag.removeprefix(UWS): child.text for child in root}

    def ended(self, address: str) -> str:
        """Wait until a job has ended, and say how."""
        for _ in range(100):
            phase = self.job(address, WAIT=10)["phase"]
            if phase in ENDED:
                return str(phase)
        raise AssertionError("the job does not end")

    def running(self, address: str) -> None:
        """Run a job, and wait until it does."""
        self.post(f"{address}/phase", PHASE="RUN")
        while (phase := self.job(address, WAIT=10, PHASE="QUEUED")["phase"]) == "QUEUED":
            pass
        assert phase == "EXECUTING"

    def listed(self, **filters: Any) -> list[tuple[str, str]]:
        root = etree.fromstring(self.get(self.list, **filters).content)
        return [(job.get("id"), job.findtext(f"{UWS}phase")) for job in root]

    def passes(self, waiting: str, heavy: str) -> None:
        """Have a job that waits come to its end, one stopped, and the next run in its place."""
        assert self.ended(waiting) == "COMPLETED"
        assert self.get(f"{waiting}/results/result").status_code == 200
        stopped = self.create(heavy)
        self.running(stopped)
        self.post(f"{stopped}/phase", PHASE="ABORT")
        after = self.create(PHASE="RUN")
        assert self.ended(after) == "COMPLETED"
        for one in (waiting, stopped, after):
            self.http.delete(one)
