"""The rows of ObsCore that a query of SIA has to look at."""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.access import Caller
from cerro_services.adql import Catalogue, QueryTable
from cerro_services.context import Context
from cerro_services.cutout.stencils import Stencil, stencil_of
from cerro_services.images.index import near, public_columns, table_of
from cerro_services.parameters import Parameters
from cerro_services.release import Release
from cerro_services.release.obscore.columns import MODEL
from cerro_services.tap.tapschema import OBSCORE, Schema, View
from cerro_services.tap.views import Views


def chosen(release: Release, groups: Collection[str], parameters: Parameters, base: str) -> Chosen:
    """Give the images of a release among which a query finds its own.

    Parameters
    ----------
    release
        The release.
    groups
        Groups of the caller.
    parameters
        Of the request; they were checked.
    base
        The platform's address.

    Returns
    -------
    Chosen
        Where only circles are asked for, the images near them, found by arithmetic; else all.
    """
    table = table_of(release, groups, base)
    positions = [_stencil(text) for text in parameters.values.get("POS", ()) if text.strip()]
    if positions and all(each.shape == "CIRCLE" for each in positions):
        masks = [near(table, *each.values) for each in positions]
        table = table.filter(reduce(pc.or_, masks))
    return Chosen(public_columns(table))


def _stencil(text: str) -> Stencil:
    shape, _, rest = text.strip().partition(" ")
    return stencil_of(shape.upper(), rest, given=f"POS={text}")


class Chosen(Views):
    """What a query of SIA sees: some rows of ObsCore, and nothing else.

    Parameters
    ----------
    rows
        The rows.
    """

    def __init__(self, rows: pa.Table) -> None:
        super().__init__()
        schema = Schema(OBSCORE, None, None, None, (MODEL,), ())
        table = QueryTable(OBSCORE, MODEL, rows.combine_chunks())
        self._chosen = View((schema,), Catalogue((table,)))

    def of(self, context: Context, caller: Caller) -> View:
        """Give it, whoever asks: the rows were chosen for them."""
        del context, caller
        return self._chosen
