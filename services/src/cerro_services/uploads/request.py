"""What a caller may upload, and where it goes."""

from __future__ import annotations

from cerro_services.access import Caller
from cerro_services.context import Context
from cerro_services.parameters import Spool
from cerro_services.scratch import Scratch
from cerro_services.uploads.model import UploadLimits


def limits_of(context: Context, caller: Caller) -> UploadLimits:
    """Give how large the uploads of a caller may be.

    Parameters
    ----------
    context
        What the services share.
    caller
        Who asks.
    """
    settings = context.settings
    return UploadLimits(
        total=int(context.quotas.of(caller).upload_bytes),
        rows=settings.upload_rows,
        columns=settings.upload_columns,
        hosts=settings.upload_hosts,
        seconds=settings.upload_seconds,
        owner=caller.name or "",
    )


def spool_of(context: Context, caller: Caller) -> Spool:
    """Give where the files of a caller's form go, for `Parameters.read`."""
    assert context.settings.uploads is not None
    limits = limits_of(context, caller)
    return Spool(context.settings.uploads, limits.total, limits.tables)


def scratch_of(context: Context) -> Scratch:
    """Make a folder for the uploads of a request; keep it while the query runs."""
    assert context.settings.uploads is not None
    return Scratch(context.settings.uploads)
