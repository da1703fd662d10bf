"""How much a caller may use at once and keep, by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel, ByteSize, ConfigDict, Field

DEFAULT, PUBLIC = "default", "public"
"""Who has a token and belongs to no group named; who has none."""


class Quota(BaseModel):
    """What one caller may use. Everybody without a token counts by address."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sync_queries: int = Field(4, ge=1, description="Synchronous queries that run at once.")
    sync_seconds: float = Field(600.0, gt=0, description="Seconds of a synchronous query.")
    running_jobs: int = Field(2, ge=1, description="Jobs that run at once.")
    queued_jobs: int = Field(200, ge=1, description="Jobs that wait or run.")
    kept_jobs: int = Field(10_000, ge=1, description="Jobs that are remembered.")
    job_seconds: int = Field(4 * 3600, ge=1, description="Seconds of a job.")
    keep_days: int = Field(30, ge=1, description="Days until a job is deleted.")
    maxrec: int = Field(20_000_000, ge=1, description="Rows of a result.")
    result_bytes: ByteSize = Field(ByteSize(50 * 10**9), description="Bytes of all results kept.")
    upload_bytes: ByteSize = Field(ByteSize(10**9), description="Bytes of a request's uploads.")
    table_bytes: ByteSize = Field(ByteSize(10 * 10**9), ge=0, description="Bytes of own tables.")


_PUBLIC: dict[str, Any] = {
    "sync_queries": 2,
    "sync_seconds": 120.0,
    "running_jobs": 1,
    "queued_jobs": 20,
    "kept_jobs": 500,
    "job_seconds": 1800,
    "keep_days": 7,
    "maxrec": 10_000_000,
    "result_bytes": 5 * 10**9,
    "upload_bytes": 100 * 10**6,
    "table_bytes": 0,
}


class _Caller(Protocol):
    @property
    def name(self) -> str | None: ...
    @property
    def groups(self) -> frozenset[str]: ...


class Quotas:
    """Gives the quota of a caller.

    Parameters
    ----------
    given
        What the operator set: by ``default``, ``public`` or group, fields of `Quota` by name.
    ceilings
        Fields of `Quota` that nobody gets more of.
    """

    def __init__(
        self, given: Mapping[str, Mapping[str, Any]], ceilings: Mapping[str, float] | None = None
    ) -> None:
        self._ceilings = dict(ceilings or {})
        self._default = parsed(given.get(DEFAULT, {}))
        self._public = parsed(_PUBLIC | dict(given.get(PUBLIC, {})))
        self._groups = {
            name: parsed(part) for name, part in given.items() if name not in {DEFAULT, PUBLIC}
        }

    def of(self, caller: _Caller) -> Quota:
        """Give the quota of a caller.

        Each field is the greatest that one of the caller's groups has been given; where none has,
        the default.

        Parameters
        ----------
        caller
            Who asks.
        """
        if caller.name is None:
            return self._bounded(self._default | self._public)
        fields = dict(self._default)
        gained: dict[str, Any] = {}
        for group in caller.groups & self._groups.keys():
            for name, value in self._groups[group].items():
                gained[name] = max(value, gained.get(name, value))
        return self._bounded(fields | gained)

    def _bounded(self, fields: Mapping[str, Any]) -> Quota:
        quota = Quota.model_construct(**{**_DEFAULTS, **fields})
        lower = {name: most for name, most in self._ceilings.items() if most < getattr(quota, name)}
        return quota.model_copy(update=lower) if lower else quota


def parsed(part: Mapping[str, Any]) -> dict[str, Any]:
    """Check what is set for one group, and give the fields that are.

    Parameters
    ----------
    part
        Fields of `Quota` by name; bytes may be written ``10GB``.

    Raises
    ------
    pydantic.ValidationError
        A field is unknown or wrong.
    """
    return Quota.model_validate(dict(part)).model_dump(exclude_unset=True)


_DEFAULTS: dict[str, Any] = Quota().model_dump()
