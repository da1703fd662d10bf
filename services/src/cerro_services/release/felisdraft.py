"""``cerro release schema draft``: a first Felis schema, from what files say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cerro_services.release import schema
from cerro_services.release.conversions import parses
from cerro_services.release.errors import DataError, ReleaseError
from cerro_services.release.felisrender import ColumnDraft, render
from cerro_services.release.model import SPATIAL_INDEX
from cerro_services.release.progress import Progress
from cerro_services.release.readers import TableSource, open_sources
from cerro_services.release.store import NAME
from cerro_services.release.uniqueness import DistinctCounter

_RA_NAMES = (
    *("coord_ra", "ra", "raj2000", "ra_icrs", "radeg", "ra_deg", "raicrs", "_raj2000", "s_ra"),
    *("right_ascension", "alpha_j2000", "ramean", "ra_j2000", "alpha"),
)
_DEC_NAMES = (
    *("coord_dec", "dec", "dej2000", "de_icrs", "dedeg", "dec_deg", "deicrs", "_dej2000", "s_dec"),
    *("declination", "delta_j2000", "decmean", "dec_j2000", "delta", "decl"),
)
"""Names of position columns in use, the likelier first."""
_CANDIDATES = ("boolean", "long", "double", "timestamp")
"""What text is tried as, in this order."""
_KEY_NAMES = re.compile(
    r"^(id|.*_id|.*[a-z]Id|source_?id|object_?id|name|designation)$", re.IGNORECASE
)


def draft(
    paths: Sequence[Path],
    *,
    name: str,
    table: str,
    ra: str | None = None,
    dec: str | None = None,
    key: str | None = None,
    progress: Progress | None = None,
) -> str:
    """Draft a Felis schema from the files of one table.

    Parameters
    ----------
    paths
        Files that hold the table; all rows are read once.
    name, table
        Names of the release and the table.
    ra, dec
        Columns of the position; guessed by UCD and name if not given.
    key
        Column of the key; the first column whose values are unique if not given.
    progress
        Where to say how far it is, and what was guessed.

    Returns
    -------
    str
        A schema (YAML with comments) that Felis accepts.

    Raises
    ------
    ReleaseError
        A name is not allowed, or a column is not in the files.
    DataError
        A file cannot be read.
    """
    progress = progress or Progress()
    for what, text in (("release", name), ("table", table)):
        if not NAME.fullmatch(text):
            raise ReleaseError(
                f"{text!r} cannot name a {what}: give letters, digits and underscores, beginning "
                "with a letter."
            )
    sources = open_sources(paths)
    columns = _columns(sources, progress)
    by_name = {column.source.name: column for column in columns}
    for option, column in (("--ra", ra), ("--dec", dec), ("--key", key)):
        if column is not None and column not in by_name:
            raise DataError(
                f"{option}: there is no such column; the file has {', '.join(by_name)}",
                file=paths[0],
                column=column,
            )
    counters = _survey(sources, columns, key, progress)
    _place(columns, ra, dec, progress)
    chosen = _choose_key(columns, counters, key, progress)
    text = render(name, table, columns, chosen, paths)
    for line in _left_out(sources):
        progress.say(line)
    return text


def _left_out(sources: Iterable[TableSource]) -> list[str]:
    return [warning for source in sources for warning in source.warnings]


def _columns(sources: Sequence[TableSource], progress: Progress) -> list[ColumnDraft]:
    columns: dict[str, ColumnDraft] = {}
    for field_ in sources[0].fields:
        if field_.name == SPATIAL_INDEX:
            continue
        datatype = felis_type(field_.type)
        if datatype is None:
            progress.say(
                f"Warning: column {field_.name} is left out: a release cannot hold {field_.type}"
            )
            continue
        columns[field_.name] = ColumnDraft(
            field_,
            datatype,
            ucd=_valid_ucd(field_.ucd, field_.name, progress),
            unit=_valid_unit(field_.unit, field_.name, progress),
            candidates=list(_CANDIDATES)
            if sources[0].is_text and pa.types.is_null(field_.type)
            else [],
        )
    for source in sources[1:]:
        names = {f.name for f in source.fields}
        for missing in [n for n in columns if n not in names]:
            progress.say(f"Warning: column {missing} is left out: {source.path} does not have it")
            del columns[missing]
    if not columns:
        raise DataError("has no column that a release can hold.", file=sources[0].path)
    return list(columns.values())


def felis_type(kind: pa.DataType) -> str | None:
    """Give the Felis type that holds an Arrow type; None if there is none."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_fixed_size_list(kind) or types.is_large_list(kind):
        value = kind.value_type
        inner = felis_type(value)
        return inner if inner and (types.is_integer(value) or types.is_floating(value)) else None
    tests = (
        (types.is_null, "string"),
        (types.is_boolean, "boolean"),
        (types.is_uint8, "byte"),
        (types.is_int8, "short"),
        (types.is_int16, "short"),
        (types.is_uint16, "int"),
        (types.is_int32, "int"),
        (types.is_integer, "long"),
        (types.is_float64, "double"),
        (types.is_floating, "float"),
        (types.is_decimal, "double"),
        (types.is_string, "string"),
        (types.is_large_string, "string"),
        (types.is_string_view, "string"),
        (types.is_timestamp, "timestamp"),
        (types.is_date, "timestamp"),
        (types.is_binary, "binary"),
        (types.is_large_binary, "binary"),
        (types.is_fixed_size_binary, "binary"),
    )
    return next((name for test, name in tests if test(kind)), None)


def _valid_ucd(ucd: str | None, column: str, progress: Progress) -> str | None:
    if not ucd:
        return None
    from astropy.io.votable.ucd import parse_ucd

    try:
        parse_ucd(ucd, check_controlled_vocabulary=True, has_colon=";" in ucd)
    except ValueError:
        progress.say(f"Warning: column {column}: UCD {ucd!r} is not valid UCD1+ and is left out")
        return None
    return ucd


def _valid_unit(unit: str | None, column: str, progress: Progress) -> str | None:
    if not unit:
        return None
    import astropy.units as u

    try:
        parsed = u.Unit(unit)
    except ValueError:
        progress.say(f"Warning: column {column}: unit {unit!r} is not known and is left out")
        return None
    try:
        return str(parsed.to_string("vounit")) or None
    except ValueError:
        return unit


def _survey(
    sources: Sequence[TableSource], columns: list[ColumnDraft], key: str | None, progress: Progress
) -> dict[str, DistinctCounter]:
    """Read all rows once: text's types, widths, nulls, and which column could be the key."""
    names = [column.source.name for column in columns]
    counters = {n: DistinctCounter() for n in _possible_keys(columns, key)}
    done = 0
    for source in sources:
        for batch in source.batches(names):
            for column, values in zip(columns, batch.columns, strict=True):
                _look(column, values, source)
                if (counter := counters.get(column.source.name)) is not None:
                    counter.add(values)
            done += batch.num_rows
            progress.step("Reading", done, source.nrows if len(sources) == 1 else None, "rows")
            for name in [n for n, c in counters.items() if c.repeated]:
                del counters[name]
    for column in columns:
        if column.candidates:
            column.datatype = _narrowest(column)
    return counters


def _possible_keys(columns: Sequence[ColumnDraft], key: str | None) -> list[str]:
    if key:
        return [key]
    named = [
        c.source.name
        for c in columns
        if c.datatype in {"long", "int", "string"}
        and (_KEY_NAMES.match(c.source.name) or "meta.id" in (c.ucd or ""))
    ]
    # A key usually stands first, whatever its name; floating point never is one.
    first = columns[0]
    if first.datatype in {"long", "int", "string"} and first.source.name not in named:
        named.append(first.source.name)
    return named[:4]


def _look(column: ColumnDraft, values: pa.Array, source: TableSource) -> None:
    column.rows += len(values)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_floating(values.type):
        column.nulls += values.null_count + (pc.is_nan(values).true_count or 0)
        return
    column.nulls += values.null_count
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        column.width = max(column.width, pc.max(pc.utf8_length(values)).as_py() or 0)
        if source.empty_is_null:
            column.nulls += pc.equal(values, "").true_count or 0
        column.candidates = [c for c in column.candidates if parses(values, c)]
    elif pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        column.width = max(column.width, pc.max(pc.binary_length(values)).as_py() or 0)


def _narrowest(column: ColumnDraft) -> str:
    if column.nulls == column.rows:
        column.notes.append("No row has a value, so the type is a guess.")
        return "string"
    if "boolean" in column.candidates and "long" in column.candidates:
        # 0 and 1 are numbers until a person says otherwise.
        return "long"
    return column.candidates[0] if column.candidates else "string"


def _place(
    columns: Sequence[ColumnDraft], ra: str | None, dec: str | None, progress: Progress
) -> None:
    """Mark the columns of the position."""
    for told, word, names in ((ra, "pos.eq.ra", _RA_NAMES), (dec, "pos.eq.dec", _DEC_NAMES)):
        found, why = _find(columns, told, word, names)
        short = word.rsplit(".", 1)[-1]
        if found is None:
            progress.say(
                f"Note: no column of {'right ascension' if short == 'ra' else 'declination'} was "
                f"recognised; if there is one, give --{short}"
            )
            continue
        if not told:
            progress.say(f"Note: {found.source.name} is taken for {short} ({why})")
            found.notes.append(f"Taken for the {short} of the position {why}; see --{short}.")
        found.ucd = f"{word};meta.main"
        if found.datatype == "string":
            progress.say(
                f"Warning: {found.source.name} is text; a position must be a number of degrees. "
                "Convert it before the ingest"
            )
            found.notes.append("Is text in the file: convert it to decimal degrees.")
        found.datatype, found.candidates = "double", []
        if found.unit not in {None, "deg"}:
            progress.say(
                f"Warning: {found.source.name} is in {found.unit}; convert it to deg first"
            )
        found.unit = "deg"
    both = [c for c in columns if c.ucd in {"pos.eq.ra;meta.main", "pos.eq.dec;meta.main"}]
    if len(both) == 1:
        both[0].ucd = None
    for column in columns:
        if (
            column not in both
            and column.ucd
            and "meta.main" in column.ucd
            and "pos.eq" in column.ucd
        ):
            column.ucd = column.ucd.replace(";meta.main", "")


def _find(
    columns: Sequence[ColumnDraft], told: str | None, word: str, names: Sequence[str]
) -> tuple[ColumnDraft | None, str]:
    if told:
        return next(c for c in columns if c.source.name == told), "as told"
    numbers = [c for c in columns if c.datatype in {"double", "float", "string"}]
    by_ucd = [c for c in numbers if (c.ucd or "").split(";")[0] == word]
    by_ucd.sort(key=lambda c: "meta.main" not in (c.ucd or ""))
    if by_ucd:
        return by_ucd[0], "by its UCD"
    folded = {c.source.name.casefold(): c for c in reversed(numbers)}
    for name in names:
        if name in folded:
            return folded[name], "by its name"
    # source_ra, objra, …: only with its partner of the same beginning.
    short, other = (word.rsplit(".", 1)[-1], {"ra": "dec", "dec": "ra"}[word.rsplit(".", 1)[-1]])
    for name, column in reversed(folded.items()):
        if name.endswith(short) and name.removesuffix(short) + other in folded:
            return column, "by its name"
    return None, ""


def _choose_key(
    columns: Sequence[ColumnDraft],
    counters: dict[str, DistinctCounter],
    key: str | None,
    progress: Progress,
) -> str | None:
    if key:
        if key not in counters:
            progress.say(f"Warning: {key} has values that stand twice; as a key it will be refused")
        return key
    for column in columns:
        name = column.source.name
        if name in counters and not column.nulls and column.rows:
            progress.say(f"Note: {name} is taken for the key, for its values are unique")
            column.notes.append("Taken for the key, for its values are unique; see --key.")
            return name
    progress.say("Note: no key was found; give --key COLUMN if there is one")
    return None


def write(text: str, target: Path) -> None:
    """Write a drafted schema, and let Felis check it.

    Raises
    ------
    SchemaError
        Felis does not accept the draft (a column name it does not allow, for instance).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    schema.validate(target)
