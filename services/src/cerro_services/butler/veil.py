"""A Butler that knows only the dataset types which a caller may read.

The registry asks one manager for all that it knows of datasets. Put in its place, `Veil` answers
as if a hidden dataset type had never been registered: in queries of every kind, by name, by UUID
and in the summaries of collections. The datastore, which knows files by UUID alone, is asked only
for what the registry has.

Importing this takes seconds (lsst.daf.butler), so nothing imports it before the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from lsst.daf.butler import DatasetType
from lsst.daf.butler.direct_butler import DirectButler
from lsst.daf.butler.registry.datasets.byDimensions import (
    ByDimensionsDatasetRecordStorageManagerUUID as Manager,
)
from lsst.daf.butler.registry.sql_registry import SqlRegistry

Allows = Callable[[str], bool]
"""Tells of the name of a dataset type whether it may be read."""
Sign = Callable[[Any, int], str]
"""Gives the address at which a file (a ResourcePath) can be fetched for some seconds."""


class Veil(Manager):
    """What a registry knows of datasets, without the dataset types that are hidden.

    Parameters
    ----------
    whole
        What it knows of all; of one thread.
    allows
        Tells whether a dataset type may be read.
    """

    def __init__(self, whole: Manager, allows: Allows) -> None:
        # As the manager's own clone(), whose arguments are private and change.
        self.__dict__.update(whole.__dict__)
        self._cache = whole._cache.clone()
        self._whole = whole
        self._allows = allows
        self._drop()

    def _drop(self) -> None:
        """Forget the hidden dataset types among those that are remembered."""
        cache = self._cache
        known = cache._by_name_cache
        cache._by_name_cache = {n: entry for n, entry in known.items() if self._allows(n)}
        names = cache._by_name_cache
        cache._by_id_cache = {i: t for i, t in cache._by_id_cache.items() if t.name in names}

    def clone(self, **parts: Any) -> Veil:
        """Give the same for another thread."""
        return Veil(self._whole.clone(**parts), self._allows)

    def _fetch_dataset_types(self, force_refresh: bool = False) -> list[DatasetType]:  # noqa: FBT001
        found = super()._fetch_dataset_types(force_refresh)
        self._drop()
        return [kind for kind in found if self._allows(kind.name)]

    def _fetch_dataset_type_record(self, name: str) -> Any:
        return super()._fetch_dataset_type_record(name) if self._allows(name) else None

    def get_dataset_refs(self, ids: list[Any]) -> list[Any]:
        """Give the datasets with some UUIDs."""
        found = self._whole.get_dataset_refs(ids)
        return [ref for ref in found if self._allows(ref.datasetType.name)]

    def getCollectionSummary(self, collection: Any) -> Any:  # noqa: N802 - the registry's name
        """Tell what is in a collection."""
        return self._seen(super().getCollectionSummary(collection))

    def fetch_summaries(
        self, collections: Iterable[Any], dataset_types: Any = None
    ) -> Mapping[Any, Any]:
        """Tell what is in collections."""
        found = super().fetch_summaries(collections, dataset_types)
        return {key: self._seen(summary) for key, summary in found.items()}

    def _seen(self, summary: Any) -> Any:
        # Summaries are remembered for others.
        seen = summary.copy()
        for kind in summary.dataset_types:
            if not self._allows(kind.name):
                seen.dataset_types.discard(kind)
        return seen


class _Signed:
    """Where a file lies, as the server asks for it: it wants nothing but a signed address."""

    def __init__(self, location: Any, sign: Sign) -> None:
        self._location = location
        self._sign = sign
        self.uri = self

    def generate_presigned_get_url(self, *, expiration_time_seconds: int) -> str:
        """Give an address at which the file can be fetched for some seconds."""
        return self._sign(self._location.uri, expiration_time_seconds)


def veiled(butler: DirectButler, allows: Allows, sign: Sign) -> DirectButler:
    """Hide dataset types from a Butler, and let it sign the addresses of files.

    Parameters
    ----------
    butler
        Of this request alone; it is changed.
    allows
        Tells whether a dataset type may be read.
    sign
        Gives the address of a file.

    Returns
    -------
    DirectButler
        The same one.

    Raises
    ------
    TypeError
        The registry is of a kind whose dataset types cannot be hidden.
    """
    registry, datastore = butler._registry, butler._datastore
    managers = registry._managers if isinstance(registry, SqlRegistry) else None
    if managers is None or not isinstance(managers.datasets, Manager):
        raise TypeError("The dataset types of this registry cannot be hidden.")
    veil = Veil(managers.datasets, allows)
    registry._managers = replace(managers, datasets=veil)
    locate, transfer = (
        datastore.prepare_get_for_external_client,
        datastore.get_file_info_for_transfer,
    )

    def located(ref: Any) -> Any:
        found = locate(ref) if allows(ref.datasetType.nameAndComponent()[0]) else None
        return found and [(_Signed(location, sign), info) for location, info in found]

    def transferred(ids: Iterable[Any]) -> Any:
        return transfer([ref.id for ref in veil.get_dataset_refs(list(ids))])

    # The datastore is of this request, too.
    for name, instead in (
        ("prepare_get_for_external_client", located),
        ("get_file_info_for_transfer", transferred),
    ):
        setattr(datastore, name, instead)
    return butler
