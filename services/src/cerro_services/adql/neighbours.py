"""Which word or sign may follow which.

sqlglot takes words of the grammar for names where it can (``SELECT left FROM all``), and reads over
what it does not need (``FROM t * AS u``, ``SELECT AS a``). A table of what may stand before each
kind of token, read off the grammar of ADQL 2.1, refuses these.
"""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.errors import AdqlError
from cerro_services.adql.functions import AGGREGATES
from cerro_services.adql.words import GEOMETRIES, TYPES

T = TokenType
_NAMES = frozenset({T.VAR, T.IDENTIFIER})
_LITERALS = frozenset({T.NUMBER, T.STRING, T.HEX_STRING, T.NULL, T.TRUE, T.FALSE})
_ENDS = _NAMES | _LITERALS | {T.R_PAREN, T.STAR}
"""What a value, a name or a parenthesis may end with."""
_SIGNS = frozenset({T.PLUS, T.DASH})
_OPERATORS = _SIGNS | {
    T.SLASH, T.DPIPE, T.AMP, T.PIPE, T.CARET, T.TILDE,
    T.EQ, T.NEQ, T.LT, T.LTE, T.GT, T.GTE,
}  # fmt: skip
_SETS = frozenset({T.UNION, T.EXCEPT, T.INTERSECT})
_TRUTHS = frozenset({T.WHERE, T.HAVING, T.ON, T.AND, T.OR, T.NOT, T.L_PAREN})
"""What a condition may stand after."""
_LISTS = frozenset({T.SELECT, T.DISTINCT, T.ALL, T.COMMA, T.GROUP_BY, T.ORDER_BY})
_VALUES = _LISTS | _TRUTHS | _OPERATORS | {T.STAR, T.BETWEEN, T.LIKE, T.ILIKE}
"""What a value may stand after."""
_SIDES = frozenset({T.LEFT, T.RIGHT, T.FULL})
_DIRECTIONS = frozenset({T.ASC, T.DESC})
_TYPE_TOKENS = frozenset(
    {
        T.BIGINT, T.BOOLEAN, T.CHAR, T.DOUBLE, T.INT, T.FLOAT, T.SMALLINT, T.TIMESTAMP, T.VARCHAR,
    }
)  # fmt: skip

_BEFORE: dict[TokenType, frozenset[TokenType]] = {
    T.SELECT: frozenset({T.L_PAREN, T.ALL, T.R_PAREN}) | _SETS,
    T.DISTINCT: frozenset({T.SELECT, T.L_PAREN}),
    T.ALL: frozenset({T.SELECT, T.L_PAREN}) | _SETS,
    T.TOP: frozenset({T.SELECT, T.DISTINCT, T.ALL}),
    **dict.fromkeys((T.FROM, T.WHERE, T.GROUP_BY, T.HAVING, T.ORDER_BY, T.AND, T.OR), _ENDS),
    **dict.fromkeys((T.ASC, T.DESC, T.ON, T.USING, T.NATURAL, T.CROSS, T.ALIAS, *_SETS), _ENDS),
    T.OFFSET: _ENDS | _DIRECTIONS,
    T.JOIN: _ENDS | _SIDES | {T.NATURAL, T.INNER, T.OUTER, T.CROSS},
    **dict.fromkeys((T.INNER, *_SIDES), _ENDS | {T.NATURAL}),
    T.OUTER: _SIDES,
    **dict.fromkeys((T.IN, T.LIKE, T.ILIKE, T.BETWEEN), _ENDS | {T.NOT}),
    T.IS: _ENDS,
    T.NOT: (_ENDS | _TRUTHS | {T.IS}) - {T.NOT},
    T.EXISTS: _TRUTHS,
    T.COMMA: _ENDS | _DIRECTIONS,
    T.R_PAREN: _ENDS | _DIRECTIONS | _TYPE_TOKENS | {T.L_PAREN},
    T.L_PAREN: _VALUES | _SETS | {T.VAR, T.IDENTIFIER, T.R_PAREN, T.IN, T.EXISTS, T.USING, T.FROM}
    | {T.JOIN, T.ALIAS, T.CHAR, T.VARCHAR, T.TIMESTAMP, T.NUMBER},
    T.STAR: _ENDS | {T.SELECT, T.DISTINCT, T.ALL, T.COMMA, T.L_PAREN, T.DOT},
    **dict.fromkeys(_OPERATORS - _SIGNS - {T.TILDE}, _ENDS),
    **dict.fromkeys(_SIGNS, _ENDS | _VALUES),
    T.TILDE: _VALUES | {T.NUMBER},
    **dict.fromkeys((T.TRUE, T.FALSE, T.NULL), _VALUES | {T.IS, T.NUMBER}),
    T.HEX_STRING: _VALUES | {T.NUMBER},
    T.STRING: _VALUES | {T.NUMBER, T.STRING, T.TIMESTAMP},
    T.NUMBER: _VALUES | {T.NUMBER, T.TOP, T.OFFSET},
    **dict.fromkeys(_NAMES, _VALUES | _ENDS | {T.ALIAS, T.DOT, T.FROM, T.JOIN, T.WITH, T.IS}),
    T.TIMESTAMP: _VALUES | {T.ALIAS, T.NUMBER},
}  # fmt: skip
"""What may stand before each kind of token; a NUMBER before a value is that of TOP."""

_CLAUSES = frozenset({T.WHERE, T.ON, T.GROUP_BY, T.HAVING, T.ORDER_BY, T.OFFSET, T.SELECT, T.WITH})
_FIRST = frozenset({T.SELECT, T.WITH, T.L_PAREN})
_AFTER: dict[TokenType, frozenset[TokenType]] = {
    T.TOP: frozenset({T.NUMBER}),
    T.OFFSET: frozenset({T.NUMBER}),
    T.EXISTS: frozenset({T.L_PAREN}),
    T.USING: frozenset({T.L_PAREN}),
    T.IN: frozenset({T.L_PAREN}),
    T.WITH: _NAMES,
    T.DOT: _NAMES | {T.STAR},
}
"""What must stand after some."""


def check_neighbours(stream: list[Token]) -> None:
    """Refuse words and signs that cannot stand beside each other.

    Parameters
    ----------
    stream
        The tokens of a query that sqlglot could read.

    Raises
    ------
    AdqlError
        At the first token that has no place after the one before it.
    """
    # Of each level of parentheses: the word that its clause begins with.
    clauses: list[TokenType | None] = [None]
    for at, token in enumerate(stream):
        kind = token.token_type
        before = stream[at - 1] if at else None
        if before is None:
            if kind not in _FIRST:
                raise AdqlError("A query begins with SELECT or WITH.", (token.start, token.end))
        elif not _fits(stream, at, clauses[-1]):
            raise _misplaced(before, token)
        if kind == T.L_PAREN:
            called = before is not None and before.token_type in _NAMES
            clauses.append(T.FROM if clauses[-1] == T.FROM and not called else None)
        elif kind == T.R_PAREN:
            clauses.pop()
        elif kind in {T.FROM, T.JOIN}:
            clauses[-1] = T.FROM
        elif kind in _CLAUSES:
            clauses[-1] = kind
    last = stream[-1]
    if last.token_type in _AFTER:
        raise AdqlError(f"The query ends too early after {last.text!r}.", (last.start, last.end))


def _fits(stream: list[Token], at: int, clause: TokenType | None) -> bool:
    """Whether a token fits the one before it, and the clause that it stands in."""
    before, token = stream[at - 1], stream[at]
    kind, previous = token.token_type, before.token_type
    after = stream[at + 1].token_type if at + 1 < len(stream) else None
    if kind == T.DOT:
        # .5 is two tokens, and so is a name's dot.
        number = after == T.NUMBER and stream[at + 1].start == token.end + 1
        return previous in (_VALUES | {T.NUMBER} if number else _NAMES)
    if previous == T.DOT and kind == T.NUMBER:
        return before.end + 1 == token.start
    if previous in _AFTER:
        return kind in _AFTER[previous]
    if kind in _OPERATORS | _LITERALS | {T.STAR} and clause == T.FROM:
        return False
    if kind in _NAMES and previous in _ENDS - {T.STAR} and previous != T.NUMBER:
        # A name without AS.
        return clause in {T.SELECT, T.FROM}
    if kind in _NAMES and previous == T.NUMBER and clause != T.SELECT:
        return False
    if kind in _DIRECTIONS and clause != T.ORDER_BY:
        return False
    if kind == T.ALL and previous == T.L_PAREN:
        return at > 1 and stream[at - 2].text.upper() in AGGREGATES
    if kind == T.L_PAREN and previous in {T.R_PAREN, *_NAMES}:
        # A call, the columns or the end of WITH.
        return clause == T.WITH if previous == T.R_PAREN else after != T.SELECT
    if kind in _LITERALS | {T.TIMESTAMP, T.TILDE, T.L_PAREN} and previous == T.NUMBER:
        return at > 1 and stream[at - 2].token_type == T.TOP
    if kind == T.NOT and previous in _ENDS:
        return after in {T.IN, T.LIKE, T.ILIKE, T.BETWEEN}
    if kind in {T.NULL, T.TRUE, T.FALSE} and previous == T.NOT:
        # IS NOT NULL, and NOT TRUE where a condition may stand.
        return stream[at - 2].token_type == T.IS or kind != T.NULL
    if kind == T.STAR and previous == T.ALL and at > 1:
        return stream[at - 2].token_type == T.SELECT
    if kind in _TYPE_TOKENS and previous == T.ALIAS:
        return True
    if token.text.upper() in GEOMETRIES | TYPES and kind not in _BEFORE:
        return previous == T.ALIAS
    return previous in _BEFORE.get(kind, frozenset())


def _misplaced(before: Token, token: Token) -> AdqlError:
    hint = ""
    if token.text[:1].isalpha() and token.token_type not in _LITERALS | _NAMES:
        hint = f' As a name, write it in double quotes: "{token.text}".'
    return AdqlError(
        f"{token.text!r} has no place after {before.text!r}.{hint}", (token.start, token.end)
    )
