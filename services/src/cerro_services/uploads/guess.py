"""What a column of text holds: whole numbers, numbers, truth values, times or just text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_WHOLE = r"^-?(0|[1-9][0-9]*)$"
_TIME = r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,6})?)?$"
_TRUTHS = pa.array(["true", "false"])


class Guess:
    """Learns from all values of a column what they are.

    A number that would not come back as it was written (0012, a whole number of twenty digits) is
    text: it is more likely a name.
    """

    def __init__(self) -> None:
        self.seen = False
        self.ascii = True
        self._possible = ["boolean", "long", "double", "timestamp"]

    def see(self, values: pa.Array) -> None:
        """Learn from some more values.

        Parameters
        ----------
        values
            Text, null where there is none.
        """
        if self.ascii:
            self.ascii = pc.all(pc.string_is_ascii(values)).as_py() is not False
        if not self._possible or values.null_count == len(values):
            return
        self.seen = True
        self._possible = [kind for kind in self._possible if _all(values, kind)]

    @property
    def kind(self) -> str:
        """Felis type of the column."""
        if not self.seen or not self._possible:
            return "char" if self.ascii else "unicode"
        return self._possible[0]


def read(values: pa.Array, kind: str) -> pa.Array:
    """Turn text into values of a type that `Guess` gave.

    Parameters
    ----------
    values
        Text.
    kind
        The Felis type.
    """
    if kind == "boolean":
        return pc.equal(pc.utf8_lower(values), "true")
    if kind == "long":
        return values.cast(pa.int64())
    if kind == "double":
        return values.cast(pa.float64())
    if kind == "timestamp":
        return values.cast(pa.timestamp("us"))
    return values


def survives(values: pa.Array) -> bool:
    """Whether texts are times that are written just so again (DALI §3.3.3)."""
    if not pc.all(pc.match_substring_regex(values, _TIME)).as_py():
        return bool(values.null_count == len(values))
    try:
        times = values.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    back = pc.strftime(times, "%Y-%m-%dT%H:%M:%S")
    back = pc.replace_substring_regex(back, r"\.0+$", "")
    return bool(pc.all(pc.equal(back, values)).as_py() is not False)


def _all(values: pa.Array, kind: str) -> bool:
    if kind == "boolean":
        return bool(pc.all(pc.is_in(pc.utf8_lower(values.drop_null()), _TRUTHS)).as_py())
    if kind == "timestamp":
        return bool(pc.all(pc.match_substring_regex(values, _TIME)).as_py()) and _casts(
            values, pa.timestamp("us")
        )
    if kind == "long":
        return bool(pc.all(pc.match_substring_regex(values, _WHOLE)).as_py()) and _casts(
            values, pa.int64()
        )
    # A leading zero or a number of too many digits is kept as text, not rounded.
    odd = pc.match_substring_regex(values, r"^[+-]?(0[0-9]|[0-9]{16,}$)")
    return not pc.any(odd).as_py() and _casts(values, pa.float64())


def _casts(values: pa.Array, want: pa.DataType) -> bool:
    try:
        values.cast(want)
    except pa.ArrowInvalid:
        return False
    return True
