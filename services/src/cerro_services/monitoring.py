"""/metrics: what all processes of the services have counted, for Prometheus."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY, Collector

from cerro_services.counting import FOLDER
from cerro_services.release.stores import Stores


def router(store: Stores, gauges: Iterable[Callable[[], Metric]] = ()) -> APIRouter:
    """Make the route. The front door does not lead to it.

    Parameters
    ----------
    store
        The releases.
    gauges
        What is measured when Prometheus asks.
    """
    routes = APIRouter(tags=["health"])
    measured = (lambda: _releases(store), *gauges)

    @routes.api_route(
        "/metrics", methods=["GET", "HEAD"], summary="Counters and times, for Prometheus"
    )
    def metrics() -> Response:
        registry = CollectorRegistry()
        if FOLDER in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            registry.register(_Gauges(measured))
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
        registry.register(_Gauges(measured))
        text = generate_latest(REGISTRY) + generate_latest(registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return routes


class _Gauges(Collector):
    """Measures when asked, so that nothing need be kept up to date."""

    def __init__(self, measured: Iterable[Callable[[], Metric]]) -> None:
        self._measured = measured

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        for measure in self._measured:
            yield measure()


def _releases(store: Stores) -> Metric:
    # Whoever asks has shown no token: what the public may not see is not told.
    rows = GaugeMetricFamily(
        "cerro_release_rows",
        "Rows of the public tables of each release",
        labels=["release", "version"],
    )
    for release in store.published():
        tables = release.tables.values()
        seen = [t.nrows for t in tables if release.access.allows((), table=t.name)]
        if seen:
            rows.add_metric([release.name, release.version], sum(seen))
    return rows
