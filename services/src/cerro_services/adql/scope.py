"""What names mean inside one SELECT: its sources, and those of the queries around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from cerro_services.adql.catalogue import same
from cerro_services.adql.columns import ResultColumn
from cerro_services.adql.errors import AdqlError, nearest
from cerro_services.adql.grammar import span_of
from cerro_services.adql.values import Value, quoted

if TYPE_CHECKING:
    from cerro_services.adql.query import Scan


@dataclass(frozen=True, eq=False)
class Source:
    """Something in FROM that columns come from.

    Parameters
    ----------
    names
        What a query may call it: its alias, or schema and table.
    alias
        Its name in SQL.
    columns
        Its columns.
    scan
        The reading of a stored table, if it is one.
    """

    names: tuple[str, ...]
    alias: str
    columns: tuple[ResultColumn, ...]
    scan: Scan | None = None

    def value(self, index: int) -> Value:
        """Give one of its columns as a value; a stored table is then asked for it."""
        column = self.columns[index]
        if self.scan is None:
            return Value(f"{self.alias}.c{index}", column)
        self.scan.columns[column.name] = None
        return Value(f"{self.alias}.{quoted(column.name)}", column, origin=(self.scan, column.name))

    def answers(self, parts: Sequence[exp.Identifier]) -> bool:
        """Whether a qualifier of a column names this source."""
        if len(parts) > len(self.names):
            return False
        return all(
            same(part, name)
            for part, name in zip(reversed(parts), reversed(self.names), strict=False)
        )


@dataclass(frozen=True, eq=False)
class Visible:
    """A column that can be named without its source.

    Parameters
    ----------
    name
        Its name.
    parts
        Source and number of each column that it stands for; more than one after USING.
    merged
        Of a column merged by USING: its value.
    """

    name: str
    parts: tuple[tuple[Source, int], ...]
    merged: Value | None = None

    def value(self) -> Value:
        """Give the column as a value."""
        if self.merged is not None:
            return self.merged
        source, index = self.parts[0]
        return source.value(index)


@dataclass(eq=False)
class Scope:
    """The names of one SELECT.

    Parameters
    ----------
    parent
        Scope of the query around a subquery of WHERE.
    sources
        What stands in FROM.
    visible
        Columns that can be named without their source, in the order of ``*``.
    group
        SQL of what is grouped by, where columns must be grouped; None elsewhere.
    aggregates
        Whether COUNT, SUM and the like may stand here.
    aggregated
        Whether one was met.
    """

    parent: Scope | None = None
    sources: list[Source] = field(default_factory=list)
    visible: list[Visible] = field(default_factory=list)
    group: frozenset[str] | None = None
    aggregates: bool = False
    aggregated: bool = False

    def add(self, source: Source, node: exp.Expr) -> list[Visible]:
        """Take a source into the scope, and give its columns.

        Raises
        ------
        AdqlError
            Another source has the same name.
        """
        if any(
            tuple(map(str.lower, source.names)) == tuple(map(str.lower, other.names))
            for other in self.sources
        ):
            raise AdqlError(
                f"{'.'.join(source.names)} stands twice in FROM. Give each its own name with AS.",
                span_of(node),
            )
        self.sources.append(source)
        return [Visible(c.name, ((source, i),)) for i, c in enumerate(source.columns)]

    def column(self, node: exp.Column) -> Value:
        """Give what a column's name means here.

        Raises
        ------
        AdqlError
            There is no such column, or more than one.
        """
        scope: Scope | None = self
        while scope is not None:
            found = scope._find(node)
            if found is not None:
                return found
            scope = scope.parent
        raise self._unknown(node)

    def star(self, node: exp.Column) -> list[Value]:
        """Give the columns of ``table.*``.

        Raises
        ------
        AdqlError
            Nothing in FROM has that name.
        """
        parts = _qualifier(node)
        found = [source for source in self.sources if source.answers(parts)]
        if len(found) != 1:
            raise self._unknown_source(parts, span_of(node))
        return [found[0].value(i) for i in range(len(found[0].columns))]

    def _find(self, node: exp.Column) -> Value | None:
        parts, name = _qualifier(node), node.this
        # Most names differ at first sight; `same` is asked for the few that do not.
        folded = name.name.lower()
        if parts:
            sources = [source for source in self.sources if source.answers(parts)]
            found = [
                (s, i)
                for s in sources
                for i, c in enumerate(s.columns)
                if c.name.lower() == folded and same(name, c.name)
            ]
            if len(found) > 1:
                raise AdqlError(
                    f"{node.sql()} is not clear: there is more than one.", span_of(node)
                )
            return found[0][0].value(found[0][1]) if found else None
        candidates = [v for v in self.visible if v.name.lower() == folded and same(name, v.name)]
        if len(candidates) > 1:
            owners = " or ".join(f"{v.parts[0][0].names[-1]}.{v.name}" for v in candidates)
            raise AdqlError(f"{name.name} is not clear. Write {owners}.", span_of(node))
        return candidates[0].value() if candidates else None

    def _unknown(self, node: exp.Column) -> AdqlError:
        parts, span = _qualifier(node), span_of(node)
        sources = [source for source in self._all_sources() if source.answers(parts)]
        if parts and not sources:
            return self._unknown_source(parts, span)
        names = [column.name for source in sources for column in source.columns]
        where = f" in {'.'.join(sources[0].names)}" if len(sources) == 1 else ""
        if not parts and (meant := _renamed(node)):
            return AdqlError(
                f"{node.name} is a name that this SELECT gives; only GROUP BY and ORDER BY know "
                f"it. Write what it stands for: {meant}.",
                span,
            )
        hint = _position(node.name, sources) or nearest(node.name, names)
        if node.this.args.get("quoted") and not parts:
            hint += f" A text stands in single quotes: '{node.name}'."
        if node.name.upper() == "PERCENT":
            hint = " TOP takes a number of rows and no share of them."
        if not hint and where:
            hint = f" tap_schema.columns lists what is{where}."
        return AdqlError(f"There is no column {node.name}{where}.{hint}", span)

    def _unknown_source(
        self, parts: list[exp.Identifier], span: tuple[int, int] | None
    ) -> AdqlError:
        written = ".".join(part.name for part in parts)
        names = [".".join(source.names) for source in self._all_sources()]
        hint = nearest(written, names) or f" FROM has {', '.join(names)}."
        return AdqlError(f"Nothing in FROM is called {written}.{hint}", span)

    def _all_sources(self) -> Iterable[Source]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.sources
            scope = scope.parent

    def unaggregated(self) -> Scope:
        """Give the same scope for the inside of COUNT, SUM and the like."""
        return replace(self, group=None, aggregates=False)


def stored(scan: Scan, alias: str | None) -> Source:
    """Make the source of a stored table.

    Parameters
    ----------
    scan
        Its reading.
    alias
        The name that the query gives it, if any.
    """
    table = scan.table
    names = (alias,) if alias else (table.schema, table.model.name)
    return Source(names, f"t{scan.number}", table.columns, scan)


def _renamed(node: exp.Column) -> str | None:
    """Give what SELECT gives the name of an unknown column to, if it is short."""
    select = node.find_ancestor(exp.Select)
    for item in select.expressions if select is not None else ():
        if isinstance(item, exp.Alias) and item.alias.lower() == node.name.lower():
            text = item.this.sql()
            return text if len(text) <= _SHORT else "the expression itself"
    return None


_SHORT = 60
_LON = ("ra", "raj2000", "ra_icrs", "radeg", "ra_deg", "ramdeg", "raj2000deg", "alpha", "coord_ra")
_LAT = ("dec", "dej2000", "decj2000", "de_icrs", "dedeg", "dec_deg", "demdeg", "delta", "coord_dec")
_UCDS = dict.fromkeys(_LON, "pos.eq.ra;meta.main") | dict.fromkeys(_LAT, "pos.eq.dec;meta.main")


def _position(name: str, sources: Sequence[Source]) -> str:
    """Say how the tables call what most catalogues call ra and dec."""
    ucd = _UCDS.get(name.lower())
    known = [c.name for source in sources for c in source.columns if ucd and c.ucd == ucd]
    return f" Did you mean {' or '.join(dict.fromkeys(known))}?" if known else ""


def _qualifier(node: exp.Column) -> list[exp.Identifier]:
    parts = [node.args.get(name) for name in ("catalog", "db", "table")]
    return [part for part in parts if part is not None]
