"""What the tokenizer reads but ADQL has not: signs, words, numbers, and the order of clauses."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.errors import AdqlError
from cerro_services.adql.hints import SIGNS, WORDS, hint
from cerro_services.adql.idioms import check_phrases, lookalike
from cerro_services.adql.leniences import lenient
from cerro_services.adql.words import GEOMETRIES, GRAMMAR, RESERVED, TYPES

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")

_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")

_HEX_DIGITS = 16

MAX_TOKENS = 200_000
"""A query longer than this is refused before it is parsed."""

MAX_OPERATIONS = 5_000
"""Operators and calls of a query. The database holds a batch of values for each while it runs,
which no limit of its memory counts: 0.75 GB for the thousand circles that make so many."""

_OPERATORS = frozenset(
    {
        TokenType.STAR, TokenType.DASH, TokenType.PLUS, TokenType.SLASH, TokenType.EQ,
        TokenType.LT, TokenType.GT, TokenType.LTE, TokenType.GTE, TokenType.NEQ, TokenType.DPIPE,
        TokenType.AMP, TokenType.PIPE, TokenType.CARET, TokenType.TILDE, TokenType.AND,
        TokenType.OR, TokenType.BETWEEN, TokenType.LIKE,
    }
)  # fmt: skip

_TOKENS = frozenset(
    {
        TokenType.L_PAREN, TokenType.R_PAREN, TokenType.COMMA, TokenType.DOT, TokenType.STAR,
        TokenType.DASH, TokenType.PLUS, TokenType.SLASH, TokenType.EQ, TokenType.LT, TokenType.GT,
        TokenType.LTE, TokenType.GTE, TokenType.NEQ, TokenType.DPIPE, TokenType.AMP,
        TokenType.PIPE, TokenType.CARET, TokenType.TILDE, TokenType.VAR, TokenType.NUMBER,
        TokenType.STRING, TokenType.IDENTIFIER, TokenType.HEX_STRING,
    }
)  # fmt: skip

_ENDS = frozenset(
    {
        TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING,
        TokenType.ORDER_BY, TokenType.OFFSET, TokenType.UNION, TokenType.EXCEPT,
        TokenType.INTERSECT, TokenType.R_PAREN, TokenType.COMMA,
    }
)  # fmt: skip

_BEGINNINGS = frozenset(
    {
        TokenType.SELECT, TokenType.FROM, TokenType.GROUP_BY, TokenType.ORDER_BY,
        TokenType.L_PAREN, TokenType.DISTINCT, TokenType.ALL, TokenType.WITH,
    }
)  # fmt: skip

_NEVER_NAMES = frozenset({TokenType.JOIN, TokenType.ON, TokenType.USING, TokenType.SELECT})

_NEW_QUERY = frozenset({TokenType.SELECT, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT})

_ORDER = {
    TokenType.WHERE: 1, TokenType.GROUP_BY: 2, TokenType.HAVING: 3, TokenType.ORDER_BY: 4,
    TokenType.OFFSET: 5,
}  # fmt: skip

_SET_QUANTIFIERS = frozenset({TokenType.ALL, TokenType.DISTINCT})


def check_tokens(stream: list[Token]) -> None:
    """Refuse signs and words that ADQL has not.

    Parameters
    ----------
    stream
        The tokens of a query.

    Raises
    ------
    AdqlError
        At the first token at fault.
    """
    if not stream:
        raise AdqlError("The query is empty. Write one, for example SELECT TOP 10 * FROM a_table.")
    if len(stream) > MAX_TOKENS:
        raise AdqlError(
            f"The query has {len(stream):,} words and signs; at most {MAX_TOKENS:,} are read. "
            "Upload long lists as a table and join it."
        )
    if len(stream) > MAX_OPERATIONS and (found := _operations(stream)) > MAX_OPERATIONS:
        raise AdqlError(
            f"The query has {found:,} operators and calls of functions; at most "
            f"{MAX_OPERATIONS:,} are taken. Write lists with IN; upload many positions as a table "
            "and join it."
        )
    check_phrases(stream)
    _check_order(stream)
    names, types = lenient(stream), _types(stream)
    around = zip([None, *stream[:-1]], stream, [*stream[1:], None], strict=True)
    for at, (before, token, after) in enumerate(around):
        span = (token.start, token.end)
        kind = token.token_type
        if kind == TokenType.SEMICOLON:
            raise AdqlError("A query is one statement without a semicolon.", span)
        if kind == TokenType.FROM and (before is None or before.token_type == TokenType.L_PAREN):
            # DuckDB and sqlglot take FROM without SELECT.
            raise AdqlError("FROM needs SELECT before it.", span)
        if kind == TokenType.WITH and before is not None:
            raise AdqlError("WITH stands only at the beginning of a query.", span)
        _check_neighbour(token, after)
        if kind == TokenType.IDENTIFIER:
            if token.end - token.start < len(token.text) + 1:
                # What the tokenizer could not read as a hexadecimal number.
                raise AdqlError(f"{token.text!r} is neither a number nor a name.", span)
            if not token.text:
                raise AdqlError("A delimited name is empty.", span)
            continue
        if kind == TokenType.NUMBER:
            if not _NUMBER.match(token.text):
                raise AdqlError(f"{token.text!r} is not a number of ADQL.", span)
            if math.isinf(float(token.text)):
                raise AdqlError("The number is too large: a double ends at 1.8e308.", span)
            continue
        if kind == TokenType.HEX_STRING and not token.text:
            raise AdqlError("A hexadecimal number needs digits: 0xFF.", span)
        if kind == TokenType.HEX_STRING and len(token.text.lstrip("0")) > _HEX_DIGITS:
            raise AdqlError("The number is too large: an integer has 64 bits.", span)
        if kind in {TokenType.STRING, TokenType.HEX_STRING}:
            continue
        word = token.text.upper()
        if kind == TokenType.VAR and not _IDENTIFIER.match(token.text):
            meant = lookalike(token.text) or f'Write "{token.text}".'
            raise AdqlError(f"{token.text!r} is not a regular name. {meant}", span)
        if not word[0].isalpha():
            _check_sign(before, token, after)
            continue
        if kind in _SET_QUANTIFIERS and before is not None:
            _check_quantifier(stream, before, token)
        if word == "UNKNOWN" and (before is None or before.text.upper() not in {"IS", "NOT"}):
            raise AdqlError('UNKNOWN stands after IS. As a name, write it "UNKNOWN".', span)
        if kind == TokenType.VAR and word in GRAMMAR and word != "UNKNOWN":
            said, place = hint(stream, at)
            span = (stream[place].start, stream[place].end)
            raise AdqlError(said or f"{token.text} has no place here.", span)
        is_function = after is not None and after.token_type == TokenType.L_PAREN
        is_type = at in types and word in TYPES | GEOMETRIES
        for part in word.split():
            if part in RESERVED and not (
                part in GRAMMAR
                or is_type
                or at in names
                or (is_function and part not in WORDS and part not in TYPES)
            ):
                if part in WORDS:
                    # At the start it is a command, never a name.
                    name = f' As a name, write it in double quotes: "{token.text}".'
                    raise AdqlError(WORDS[part] + (name if before is not None else ""), span)
                raise AdqlError(
                    f"{token.text} is a reserved word of ADQL. "
                    f'As a name, write it in double quotes: "{token.text}".',
                    span,
                )


def _check_order(stream: list[Token]) -> None:
    """Refuse clauses that stand twice, or not in the order of the grammar."""
    seen: list[Token | None] = [None]
    for token in stream:
        kind = token.token_type
        if kind == TokenType.L_PAREN:
            seen.append(None)
        elif kind == TokenType.R_PAREN:
            seen.pop()
            seen = seen or [None]
        elif kind in _NEW_QUERY:
            seen[-1] = None
        elif kind in _ORDER:
            before = seen[-1]
            if before is not None and _ORDER[kind] <= _ORDER[before.token_type]:
                raise AdqlError(
                    f"{token.text.upper()} has no place after {before.text.upper()}. The order is "
                    "WHERE, GROUP BY, HAVING, ORDER BY, OFFSET.",
                    (token.start, token.end),
                )
            seen[-1] = token


def _check_neighbour(token: Token, after: Token | None) -> None:
    """Refuse what cannot follow a token."""
    span = (token.start, token.end)
    if token.token_type == TokenType.ALIAS and (
        after is None or after.token_type in _ENDS or after.token_type in _NEVER_NAMES
    ):
        raise AdqlError("A name is missing after AS.", span)
    if (
        token.token_type in {TokenType.NUMBER, TokenType.HEX_STRING}
        and after is not None
        and after.token_type == TokenType.VAR
        and after.start == token.end + 1
    ):
        raise AdqlError(
            f"{token.text + after.text!r} is neither a number nor a name.", (token.start, after.end)
        )


def _types(stream: list[Token]) -> frozenset[int]:
    """Give the places of types: CAST(x AS INTEGER), TIMESTAMP '…'."""
    found, casts = set(), [False]
    for at, token in enumerate(stream):
        before = stream[at - 1] if at else None
        after = stream[at + 1].token_type if at + 1 < len(stream) else None
        if token.token_type == TokenType.L_PAREN:
            casts.append(before is not None and before.text.upper() == "CAST")
        elif token.token_type == TokenType.R_PAREN:
            casts = casts[:-1] or [False]
        elif (
            token.token_type == TokenType.TIMESTAMP
            and after in {TokenType.STRING, TokenType.L_PAREN}
        ) or (
            casts[-1]
            and before is not None
            and before.token_type == TokenType.ALIAS
            and after in {TokenType.L_PAREN, TokenType.R_PAREN}
        ):
            found.add(at)
    return frozenset(found)


def _check_sign(before: Token | None, token: Token, after: Token | None) -> None:
    # Two signs without a blank between them can be one of another language.
    if after is not None and after.start == token.end + 1:
        pair = token.text + after.text
        if pair in SIGNS:
            raise AdqlError(f"{pair} is not of ADQL. {SIGNS[pair]}", (token.start, after.end))
    span = (token.start, token.end)
    if token.token_type not in _TOKENS:
        said = SIGNS.get(token.text, "")
        raise AdqlError(f"The sign {token.text!r} is not of ADQL. {said}".rstrip(), span)
    if token.token_type == TokenType.COMMA:
        if after is None or after.token_type in _ENDS:
            raise AdqlError("Something is missing after this comma.", span)
        if before is None or before.token_type in _BEGINNINGS:
            raise AdqlError("Something is missing before this comma.", span)


def _check_quantifier(stream: list[Token], before: Token, token: Token) -> None:
    """Refuse TOP 10 DISTINCT."""
    if before.token_type != TokenType.NUMBER:
        return
    at = next(i for i, other in enumerate(stream) if other is token)
    if at > 1 and stream[at - 2].token_type == TokenType.TOP:
        raise AdqlError(
            f"Write SELECT {token.text.upper()} TOP {before.text}.", (token.start, token.end)
        )


def _operations(stream: list[Token]) -> int:
    """Count operators, other than signs of numbers, and calls."""
    count = 0
    for before, token in pairwise(stream):
        signed = before.token_type in {TokenType.COMMA, TokenType.L_PAREN}
        called = token.token_type == TokenType.L_PAREN and before.text[:1].isalpha()
        count += called or (token.token_type in _OPERATORS and not signed)
    return count
