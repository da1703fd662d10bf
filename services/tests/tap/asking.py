"""A query that does not end, and what a VOTable says of how its query went."""

from __future__ import annotations

import io

from astropy.io.votable import parse


def status(document: bytes) -> list[tuple[str, str]]:
    infos = parse(io.BytesIO(document)).resources[0].infos
    return [(i.value, i.content or "") for i in infos if i.name == "QUERY_STATUS"]


LONG = (
    "SELECT a.objectId, b.ra FROM sky.Object a, sky.Object b, sky.Object c "
    "WHERE a.flux <> b.flux + c.flux"
)
