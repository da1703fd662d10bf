"""The ingest task: FITS files in, ``raw`` datasets and dimension records out, all or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lsst.pex.config as pex_config
import lsst.pipe.base as pipe_base
from lsst.daf.butler import Butler

from cerro_pipelines import repository
from cerro_pipelines.datasets import RAW
from cerro_pipelines.instruments.model import Instrument

from .reader import IngestError, read_file

__all__ = ["IngestConfig", "IngestSummary", "IngestTask", "ingest"]

type FileProgress = Callable[[str, int, int], None]


@dataclasses.dataclass(frozen=True)
class IngestSummary:
    """What came in: numbers of files, of images, and of visits by band; and the collection."""

    files: int
    images: int
    visits: dict[str, int]
    collection: str


class IngestConfig(pex_config.Config):
    """Settings of the ingest task."""

    skip_known = pex_config.Field[bool](
        doc="Pass over exposures that the repository holds already, instead of refusing them.",
        default=False,
    )


class IngestTask(pipe_base.Task):
    """Check every file, then put all of them into the repository in one transaction.

    Parameters
    ----------
    butler
        A repository, writeable.
    instrument
        What took the exposures.
    config
        Settings; defaults when omitted.
    """

    ConfigClass = IngestConfig
    config: IngestConfig
    _DefaultName = "ingest"

    def __init__(
        self,
        butler: Butler,
        instrument: Instrument,
        *,
        config: IngestConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(config=config or IngestConfig(), **kwargs)
        self._butler = butler
        self._instrument = instrument

    def run(self, files: Sequence[Path], progress: FileProgress | None = None) -> IngestSummary:
        """Ingest files.

        Parameters
        ----------
        files
            FITS files.
        progress
            Called with ``check`` or ``ingest``, number of files done, and number of all.

        Raises
        ------
        IngestError
            If a file is not right; nothing is ingested then.
        """
        name = self._instrument.name
        collection = repository.raw_collection(name)
        repository.register_instrument(self._butler, self._instrument)
        known = self._known(collection)
        seen: dict[tuple[int, int], Path] = {}
        observations: dict[int, repository.Observation] = {}
        wanted: list[Path] = []
        for number, path in enumerate(files, start=1):
            for item in read_file(path, self._instrument):
                if item.key in seen:
                    raise IngestError(
                        path,
                        f"exposure {item.key[0]}, detector {item.key[1]} was given twice; "
                        f"the other file is {seen[item.key]}.",
                    )
                seen[item.key] = path
                if item.key in known:
                    if self.config.skip_known:
                        continue
                    raise IngestError(
                        path,
                        f"exposure {item.key[0]}, detector {item.key[1]} is in the repository "
                        "already (--skip-known passes over such files).",
                    )
                merged = _merge(path, observations.get(item.key[0]), item.observation())
                observations[item.key[0]] = merged
                if path not in wanted:
                    wanted.append(path)
            if progress is not None:
                progress("check", number, len(files))
        images = self._store(wanted, list(observations.values()), collection, known, progress)
        visits: dict[str, int] = {}
        for obs in observations.values():
            band = self._instrument.filters[obs.physical_filter].band
            visits[band] = visits.get(band, 0) + 1
        self.log.info("Ingested %d images into %s.", images, collection)
        return IngestSummary(len(wanted), images, visits, collection)

    def _known(self, collection: str) -> set[tuple[int, int]]:
        refs = self._butler.query_datasets(
            RAW.name, collections=collection, explain=False, limit=None
        )
        return {(int(r.dataId["exposure"]), int(r.dataId["detector"])) for r in refs}

    def _store(
        self,
        files: Sequence[Path],
        observations: Sequence[repository.Observation],
        collection: str,
        known: set[tuple[int, int]],
        progress: FileProgress | None,
    ) -> int:
        """Put records and images in one transaction; files are read anew, one at a time."""
        count = 0
        with self._butler.transaction():
            repository.insert_observations(self._butler, self._instrument.name, observations)
            for number, path in enumerate(files, start=1):
                for item in read_file(path, self._instrument):
                    if item.key in known:
                        continue
                    self._butler.put(
                        item.exposure.to_image(),
                        RAW.name,
                        instrument=self._instrument.name,
                        exposure=item.key[0],
                        detector=item.key[1],
                        run=collection,
                    )
                    count += 1
                if progress is not None:
                    progress("ingest", number, len(files))
        return count


def _merge(
    path: Path, first: repository.Observation | None, other: repository.Observation
) -> repository.Observation:
    """Join the detectors of one exposure; they must agree on filter and time."""
    if first is None:
        return other
    apart = abs((first.begin - other.begin).sec)
    if first.physical_filter != other.physical_filter or apart > 1.0:
        raise IngestError(
            path,
            f"exposure {other.visit} is {other.physical_filter} at {other.begin.isot} here, but "
            f"{first.physical_filter} at {first.begin.isot} in another file: two exposures have "
            "the same number.",
        )
    return dataclasses.replace(first, footprints={**first.footprints, **other.footprints})


def ingest(
    root: Path,
    files: Iterable[Path],
    instrument: Instrument,
    *,
    skip_known: bool = False,
    progress: FileProgress | None = None,
) -> IngestSummary:
    """Ingest FITS files into a repository, which is made if missing.

    Raises
    ------
    IngestError
        If a file is not right; nothing is ingested then.
    RepositoryError
        If the folder holds something else.
    """
    butler = repository.create(root)
    task = IngestTask(butler, instrument, config=IngestConfig(skip_known=skip_known))
    return task.run(list(files), progress)
