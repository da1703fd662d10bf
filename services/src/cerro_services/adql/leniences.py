"""The one lenience: a geometry function's name as the name of a result, `AS distance`.

ADQL 2.1 reserves these words (§2.1.2). Rubin's tutorials have `DISTANCE(…) AS distance` all the
same, since their service takes it; after AS, and alone in ORDER BY, no function can be meant.
"""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.functions import GEOMETRY

_CLAUSES = frozenset(
    {
        TokenType.SELECT, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING,
        TokenType.ORDER_BY, TokenType.OFFSET, TokenType.WITH,
    }
)  # fmt: skip
_AFTER_KEY = frozenset(
    {TokenType.COMMA, TokenType.ASC, TokenType.DESC, TokenType.OFFSET, TokenType.R_PAREN}
)


def lenient(stream: list[Token]) -> frozenset[int]:
    """Give the places of the names of geometry functions that name results.

    Parameters
    ----------
    stream
        The tokens of a query.

    Returns
    -------
    frozenset of int
        Places of names after AS in a list of SELECT, and of the same names as keys of ORDER BY.
    """
    found = set()
    levels: list[tuple[TokenType | None, set[str]]] = [(None, set())]
    for at, token in enumerate(stream):
        kind = token.token_type
        clause, named = levels[-1]
        if kind == TokenType.L_PAREN:
            levels.append((None, set()))
        elif kind == TokenType.R_PAREN:
            levels = levels[:-1] or [(None, set())]
        elif kind in _CLAUSES:
            levels[-1] = (kind, named)
        elif kind == TokenType.VAR and token.text.upper() in GEOMETRY:
            before = stream[at - 1].token_type if at else None
            after = stream[at + 1].token_type if at + 1 < len(stream) else None
            name = token.text.upper()
            if (
                clause == TokenType.SELECT
                and before == TokenType.ALIAS
                and after in {TokenType.COMMA, TokenType.FROM}
            ):
                named.add(name)
                found.add(at)
            elif (
                clause == TokenType.ORDER_BY
                and name in named
                and before in {TokenType.ORDER_BY, TokenType.COMMA}
                and (after is None or after in _AFTER_KEY)
            ):
                found.add(at)
    return frozenset(found)
