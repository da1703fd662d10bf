"""ADQL 2.1: from the text of a query to what an engine runs.

`compile_query` is the way in: it parses (`dialect`, `grammar`), resolves names against what the
caller may read (`catalogue`, `scope`, `joins`), translates to DuckDB's SQL (`compiler`,
`expressions`, `functions`, `geometry`), and notes what limits each table's reading (`pruning`,
`shapes`).
"""

from cerro_services.adql.catalogue import Catalogue, QueryTable
from cerro_services.adql.columns import ResultColumn, from_model
from cerro_services.adql.compiler import compile_query
from cerro_services.adql.errors import AdqlError
from cerro_services.adql.query import Query, Scan
from cerro_services.adql.shapes import Circle, Polygon, Region

__all__ = [
    "AdqlError", "Catalogue", "Circle", "Polygon", "Query", "QueryTable", "Region", "ResultColumn",
    "Scan", "compile_query", "from_model",
]  # fmt: skip
