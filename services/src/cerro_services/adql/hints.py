"""What someone may have meant who wrote what is not ADQL."""

from __future__ import annotations

from difflib import SequenceMatcher

from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.words import GRAMMAR, TYPES

SIGNS = {
    "::": "Write CAST(x AS type).",
    "==": "Write = to compare.",
    "&&": "Write AND.",
    "%": "Write MOD(a, b).",
    "`": 'Write a name in double quotes: "name".',
    "[": "ADQL takes no element out of an array; a name is written in double quotes.",
    "**": "Write POWER(a, b).",
    "/*": "Write a comment after --.",
    "@": "Write the value itself.",
    "$": "Write the value itself.",
    "?": "Write the value itself.",
    ":": "Write the value itself.",
    "{": "Fill in what stands in braces.",
    "#": "Write a comment after --.",
    "<<": "Write a * POWER(2, n).",
    ">>": "Write a / POWER(2, n).",
    "<=>": "Write = or IS NULL.",
    "!": "Write NOT.",
    "~~": "Write LIKE.",
    "->": "ADQL takes no part out of a value.",
}
"""Signs of other languages, and how ADQL says them."""

WORDS = {
    "CASE": "ADQL has no CASE. COALESCE and arithmetic with CONTAINS are what it has.",
    "SUBSTRING": "ADQL has no SUBSTRING. LIKE and ILIKE compare parts of a text.",
    "TRIM": "ADQL has no TRIM.",
    "EXTRACT": "ADQL has no EXTRACT. Compare with TIMESTAMP '2026-01-31T00:00:00'.",
    "INTERVAL": "ADQL has no INTERVAL. Compare with timestamps, or use ivo_to_mjd.",
    "NULLIF": "ADQL has no NULLIF.",
    "CURRENT_TIMESTAMP": "ADQL has no CURRENT_TIMESTAMP. Write the time in quotes.",
    "ESCAPE": "LIKE has no ESCAPE in ADQL.",
    "ANY": "ADQL has no ANY. Write IN (SELECT …).",
    "SOME": "ADQL has no SOME. Write IN (SELECT …).",
    "VALUES": "ADQL has no VALUES.",
    "FLOAT": "Write REAL or DOUBLE PRECISION.",
    "NUMERIC": "Write DOUBLE PRECISION.",
    "DECIMAL": "Write DOUBLE PRECISION.",
    "DATE": "Write TIMESTAMP '2026-01-31'.",
    "TIME": "Write TIMESTAMP '2026-01-31T00:00:00'.",
    "CHARACTER": "Write CHAR or VARCHAR.",
    "FIRST": "NULL sorts as the greatest value; ADQL has no NULLS FIRST.",
    "LAST": "NULL sorts as the greatest value; ADQL has no NULLS LAST.",
    "CORRESPONDING": "The columns of a UNION correspond by their order.",
    **dict.fromkeys(
        ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "GRANT", "SET"),
        "ADQL only asks: a query begins with SELECT or WITH.",
    ),
}
"""Reserved words that have no place in ADQL at all."""

_PHRASES = {
    "GROUP": "Write GROUP BY.",
    "ORDER": "Write ORDER BY.",
    "LIMIT": "ADQL has no LIMIT. Write SELECT TOP 10 … (and OFFSET at the end).",
    "FETCH": "ADQL has no FETCH. Write SELECT TOP 10 …",
    "QUALIFY": "ADQL has no QUALIFY.",
    "WINDOW": "ADQL has no windows.",
    "OVER": "ADQL has no windows: OVER has no place here.",
    "NULLS": "ADQL sorts NULL as the greatest value; NULLS FIRST and NULLS LAST are not of it.",
    "RECURSIVE": "ADQL has no recursive WITH.",
    "LATERAL": "ADQL has no LATERAL.",
    "TABLESAMPLE": "ADQL has no TABLESAMPLE.",
    "REGEXP": "ADQL has no regular expressions. Write LIKE or ILIKE.",
    "RLIKE": "ADQL has no regular expressions. Write LIKE or ILIKE.",
    "SIMILAR": "ADQL has no SIMILAR TO. Write LIKE or ILIKE.",
    "MINUS": "Write EXCEPT.",
    "SEMI": "Write WHERE x IN (SELECT …), or EXISTS.",
    "ANTI": "Write WHERE NOT EXISTS (SELECT …).",
}
_MISTYPED = [*sorted(word for word in GRAMMAR | TYPES if len(word) > 3), "TOP"]
_ALIKE = 0.75


_CLAUSES = frozenset(
    {
        TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING,
        TokenType.ORDER_BY, TokenType.OFFSET, TokenType.UNION, TokenType.EXCEPT,
        TokenType.INTERSECT,
    }
)  # fmt: skip


def _open(stream: list[Token]) -> bool:
    kinds = [token.token_type for token in stream]
    return kinds.count(TokenType.L_PAREN) > kinds.count(TokenType.R_PAREN)


def mistyped(word: str) -> str | None:
    """Give the keyword that a word nearly is; None if there is none."""
    upper = word.upper()
    best, known = _ALIKE, None
    for keyword in _MISTYPED:
        if abs(len(keyword) - len(upper)) > 2 or keyword == upper:
            continue
        likeness = SequenceMatcher(None, upper, keyword).ratio()
        if sorted(keyword) == sorted(upper):
            likeness = max(likeness, 0.9)
        elif len(upper) < 4:
            # So short a word is more likely a name: dec is not DESC.
            continue
        if likeness > best:
            best, known = likeness, keyword
    return known


def hint(stream: list[Token], at: int) -> tuple[str, int]:
    """Say what may have been meant where the parser stopped.

    Parameters
    ----------
    stream
        The tokens of the query.
    at
        Place of the token that has no place.

    Returns
    -------
    tuple of str and int
        A message, or nothing, and the place of the token that it is about.
    """
    for place in range(at, max(-1, at - 4), -1):
        token = stream[place]
        if token.token_type == TokenType.VAR:
            phrase = _PHRASES.get(token.text.upper())
            if phrase is not None:
                return phrase, place
    for place in range(at, max(-1, at - 4), -1):
        token = stream[place]
        if token.token_type == TokenType.VAR:
            keyword = mistyped(token.text)
            if keyword is not None:
                return f"{token.text!r} is no word of ADQL. Did you mean {keyword}?", place
    token, before = stream[at], stream[at - 1] if at else None
    if before is not None and before.text.upper() == "TOP":
        return f"TOP needs a whole number, not {token.text!r}.", at
    if token.token_type in _CLAUSES and _open(stream[:at]):
        return f"{token.text!r} has no place here. Is a parenthesis before it not closed?", at
    names = {TokenType.VAR, TokenType.IDENTIFIER}
    if token.token_type == TokenType.R_PAREN:
        return "A parenthesis is closed here that was not opened, or something is missing.", at
    if token.token_type == TokenType.COMMA:
        return "A comma has no place here, or something is missing before it.", at
    if before is not None and before.token_type in names:
        literal = {TokenType.NUMBER, TokenType.STRING}
        if token.token_type in names | literal:
            return f"{token.text!r} has no place here. Is a comma or an operator missing?", at
    return "", at
