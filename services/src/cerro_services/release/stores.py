"""All places where the releases of a process lie: a folder, buckets, or both."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from cerro_services.objects import Bucket, Cache
from cerro_services.release.mirror import Mirror
from cerro_services.release.model import Release
from cerro_services.release.store import ReleaseStore

log = logging.getLogger(__name__)


class Stores:
    """The releases of a folder and of buckets.

    Parameters
    ----------
    local
        The folder's; None if there is none.
    mirrors
        The buckets'. A release that a place before has, too, is taken from there.
    seconds
        How often buckets are asked for new versions.
    """

    def __init__(
        self, local: ReleaseStore | None, mirrors: Sequence[Mirror] = (), seconds: float = 15.0
    ) -> None:
        self.mirrors = tuple(mirrors)
        self._stores = (*([local] if local else []), *(mirror.store for mirror in mirrors))
        self._published: tuple[tuple[Release, ...], tuple[Release, ...]] = ((), ())
        self._told: set[str] = set()
        self._stop = threading.Event()
        for mirror in self.mirrors:
            mirror.sync()
        if self.mirrors:
            watch = threading.Thread(target=self._watch, args=[seconds], name="buckets")
            watch.daemon = True
            watch.start()

    @property
    def roots(self) -> list[Path]:
        """The folders in which releases lie, those among them in which buckets are mirrored."""
        return [store.root for store in self._stores]

    def published(self) -> tuple[Release, ...]:
        """Give the current version of every published release; see `ReleaseStore.published`."""
        if len(self._stores) == 1:
            return self._stores[0].published()
        every = tuple(release for store in self._stores for release in store.published())
        before, merged = self._published
        if before == every:
            return merged
        first: dict[str, Release] = {}
        for release in every:
            if first.setdefault(release.name, release) is not release:
                self._doubled(release)
        merged = tuple(first[name] for name in sorted(first))
        self._published = every, merged
        return merged

    def troubles(self) -> list[str]:
        """Say what of the buckets cannot be read at present."""
        return [mirror.trouble for mirror in self.mirrors if mirror.trouble]

    def close(self) -> None:
        """Ask no bucket any more."""
        self._stop.set()

    def _watch(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            for mirror in self.mirrors:
                try:
                    mirror.sync()
                except Exception:
                    log.exception("%s could not be looked through", mirror.url)

    def _doubled(self, release: Release) -> None:
        if release.name not in self._told:
            self._told.add(release.name)
            log.warning("Release %s lies in two places; the first is served.", release.name)


def stores(
    folder: Path | None, buckets: Sequence[str], cache: Path, limit: int, seconds: float
) -> Stores:
    """Open all places where releases lie.

    Parameters
    ----------
    folder
        The folder of releases; None if there is none.
    buckets
        Addresses of buckets, ``s3://bucket/prefix``.
    cache, limit
        Folder for what is needed of them, and how many bytes it may hold.
    seconds
        How often they are asked for new versions.
    """
    local = None if folder is None else ReleaseStore(folder)
    if not buckets:
        return Stores(local)
    kept = Cache(cache, limit)
    return Stores(local, [Mirror(Bucket(url), kept) for url in buckets], seconds)
