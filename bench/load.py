"""200 clients at once for a minute: who is served, how fast, and who is told to come back.

Small cones on Tycho-2 mixed with lookups, counts and a full scan now and then, all as the public
caller from one address, which gets the smallest share there is. Every answer is 200 or 503 with
Retry-After; anything else is counted as a failure and named.
"""

# ruff: noqa: S608 - the queries are made here, of numbers.

from __future__ import annotations

import asyncio
import collections
import random
import time
from pathlib import Path

import httpx
import numpy as np

from bench._serving import served
from bench.tap import TABLE, tycho2

CLIENTS = 200
SECONDS = 60.0


def run(workdir: Path) -> dict[str, float | str]:
    """Publish Tycho-2, serve it and crowd it."""
    figures: dict[str, float | str] = {}
    store = tycho2(workdir, figures)
    with served(workdir, store) as url:
        took, outcomes = asyncio.run(_crowd(url))
        # Whoever comes after the crowd is served at once.
        start = time.perf_counter()
        httpx.post(url, data={"QUERY": _query(random.Random(0))}).raise_for_status()
        after = time.perf_counter() - start
    seconds = sorted(took)
    failures = {k: n for k, n in outcomes.items() if k not in {"200", "503"}}
    return {
        "clients": CLIENTS,
        "answers_per_s": outcomes["200"] / SECONDS,
        "asked_to_come_back_per_s": outcomes["503"] / SECONDS,
        "p50_ms": float(np.percentile(seconds, 50)) * 1e3,
        "p99_ms": float(np.percentile(seconds, 99)) * 1e3,
        "slowest_ms": seconds[-1] * 1e3,
        "failures": ", ".join(f"{k}: {n}" for k, n in failures.items()) or "none",
        "first_answer_after_the_crowd_ms": after * 1e3,
    }


async def _crowd(url: str) -> tuple[list[float], collections.Counter[str]]:
    took: list[float] = []
    outcomes: collections.Counter[str] = collections.Counter()
    until = time.monotonic() + SECONDS
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)

    async def one(seed: int, client: httpx.AsyncClient) -> None:
        chosen = random.Random(seed)
        while time.monotonic() < until:
            start = time.perf_counter()
            try:
                answer = await client.post(url, data={"QUERY": _query(chosen)})
            except httpx.HTTPError as error:
                outcomes[type(error).__name__] += 1
                continue
            outcomes[str(answer.status_code)] += 1
            if answer.status_code == 200:
                took.append(time.perf_counter() - start)
            elif answer.status_code == 503:
                await asyncio.sleep(float(answer.headers["Retry-After"]))

    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        await asyncio.gather(*(one(seed, client) for seed in range(CLIENTS)))
    return took, outcomes


def _query(chosen: random.Random) -> str:
    lon, lat = chosen.uniform(0, 360), chosen.uniform(-80, 80)
    kind = chosen.random()
    if kind < 0.9:
        return (
            f"SELECT tyc, ra, dec, VTmag FROM {TABLE} WHERE 1 = "
            f"CONTAINS(POINT(ra, dec), CIRCLE({lon:.6f}, {lat:.6f}, 0.1))"
        )
    if kind < 0.99:
        return f"SELECT COUNT(*) AS n FROM {TABLE} WHERE dec > {lat:.6f} AND dec < {lat + 1:.6f}"
    return (
        f"SELECT n_obs, COUNT(*) AS n, AVG(VTmag) AS m FROM {TABLE} WHERE ra > {lon} GROUP BY n_obs"
    )
