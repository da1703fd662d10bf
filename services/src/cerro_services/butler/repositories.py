"""The Butler repositories of releases, opened once for each version."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.objects.path import CachedPath
from cerro_services.release import Release, ReleaseNotFound
from cerro_services.release.access import Access
from cerro_services.release.butler import dataset_types

if TYPE_CHECKING:
    from lsst.daf.butler import LabeledButlerFactory
    from lsst.daf.butler.direct_butler import DirectButler

PREFIX = "/api/butler"
FOLDER = "butler"
Signer = Callable[[Release, str, int], str]
"""Gives the address of a file by its path in a release, for some seconds."""


class Repositories:
    """The Butler repositories of the releases that are published now.

    Parameters
    ----------
    context
        What the services share.
    sign
        Signs addresses of files.
    """

    def __init__(self, context: Context, sign: Signer) -> None:
        self._context = context
        self._sign = sign
        self._lock = threading.Lock()
        self._open: dict[Path, LabeledButlerFactory] = {}

    def seen(self, caller: Caller) -> list[Release]:
        """Give the releases with a repository of which a caller may read something."""
        return [release for release in self._context.store.published() if offers(release, caller)]

    def found(self, name: str, caller: Caller) -> Release:
        """Give the release of a repository.

        Raises
        ------
        ReleaseNotFound
            There is none with this name, or the caller may read nothing of it: the answer is one.
        """
        for release in self.seen(caller):
            if release.name == name:
                return release
        raise ReleaseNotFound(f"There is no Butler repository {name}.")

    def butler(self, release: Release, caller: Caller) -> DirectButler:
        """Give a Butler for one request, which knows what the caller may read.

        Parameters
        ----------
        release
            A release with a repository.
        caller
            Who asks.
        """
        from lsst.daf.butler.direct_butler import DirectButler

        from cerro_services.butler.veil import veiled

        made = self._factory(release).create_butler(release.name)
        assert isinstance(made, DirectButler)

        def allows(dataset_type: str) -> bool:
            return readable(release.access, caller.groups, dataset_type.partition(".")[0])

        return veiled(made, allows, lambda uri, seconds: self._address(release, uri, seconds))

    def _factory(self, release: Release) -> LabeledButlerFactory:
        from lsst.daf.butler import LabeledButlerFactory

        with self._lock:
            current = {known.root for known in self._context.store.published()}
            # Versions that are no longer served; requests that still use one keep it.
            self._open = {root: f for root, f in self._open.items() if root in current}
            if release.root not in self._open:
                config = str(release.root / FOLDER / "butler.yaml")
                self._open[release.root] = LabeledButlerFactory({release.name: config})
            return self._open[release.root]

    def _address(self, release: Release, uri: Any, seconds: int) -> str:
        if uri.scheme != "file":
            return str(uri.generate_presigned_get_url(expiration_time_seconds=seconds))
        path = Path(uri.ospath).resolve()
        try:
            inner = path.relative_to(release.root.resolve())
        except ValueError:
            # What was ingested where it lay is no part of the release: nobody published it.
            raise ReleaseNotFound("The file of this dataset is not in the release.") from None
        return self._sign(release, inner.as_posix(), seconds)


def readable(access: Access, groups: Collection[str], dataset_type: str) -> bool:
    """Tell whether a member of groups may read a dataset type.

    Where it has no rule of its own, the rules of tables hold that it may be a part of: what a
    caller may not read in the table ``DiaSource`` they may not read in ``dia_source_visit``.

    Parameters
    ----------
    access
        The rules of the release.
    groups
        Groups of the caller.
    dataset_type
        Its name.
    """
    if dataset_type in access.datasets:
        return access.allows(groups, dataset_type=dataset_type)
    of = [t for t in access.tables if f"{dataset_type}_".startswith(f"{dataset_types(t)[0]}_")]
    return access.allows(groups) if not of else all(access.allows(groups, table=t) for t in of)


def visible(release: Release, caller: Caller) -> bool:
    """Tell whether a caller may read anything of a release's repository."""
    access = release.access
    return access.allows(caller.groups) or any(
        access.allows(caller.groups, dataset_type=name) for name in access.datasets
    )


def offers(release: Release, caller: Caller) -> bool:
    """Tell whether a release has a repository of which a caller may read something."""
    return _has_repository(release) and visible(release, caller)


def config_url(base_url: str, release: Release) -> str:
    """Give the address of the configuration with which a client begins.

    Parameters
    ----------
    base_url
        The platform's address.
    release
        A release with a repository.
    """
    return f"{base_url}{PREFIX}/repo/{release.name}/butler.yaml"


def _has_repository(release: Release) -> bool:
    # Of a bucket, the database of a repository does not lie here.
    if isinstance(release.root, CachedPath):
        return False
    return (release.root / FOLDER / "butler.yaml").is_file()
