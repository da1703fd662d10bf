"""Phrases of other languages, and how ADQL says them."""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.errors import AdqlError

_COMMANDS = {
    **dict.fromkeys(
        ("SHOW", "DESCRIBE", "DESC"),
        "ADQL only asks. SELECT * FROM tap_schema.tables lists the tables, tap_schema.columns "
        "their columns.",
    ),
    "EXPLAIN": "ADQL has no EXPLAIN. /api/tap/estimate says what a query would cost.",
    "USE": "ADQL has no USE. Write the schema before each table: schema.table.",
}
_WORDS = {
    "FETCH": "ADQL has no FETCH. Write SELECT TOP 10 …",
    "INTO": "ADQL has no INTO. A job with the parameter DEST=mydb.name keeps its result.",
}
_LOOKALIKES = {
    **dict.fromkeys("‘’‚‛′´", "Write straight quotes: 'text'."),
    **dict.fromkeys("“”„″«»", "Write straight quotes: 'text', or \"name\"."),
    "≥": "Write >=.",
    "≤": "Write <=.",
    "≠": "Write <>.",
    "−": "Write the sign of the keyboard: -.",
    "–": "Write the sign of the keyboard: -.",
    "×": "Write *.",
    "·": "Write *.",
    "÷": "Write /.",
}
_OPERANDS = frozenset(
    {
        TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING,
        TokenType.R_PAREN,
    }
)  # fmt: skip
_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})
_TEXTS = frozenset({TokenType.STRING, TokenType.IDENTIFIER})


def lookalike(text: str) -> str | None:
    """Say what a sign that is none of ADQL stands for; None if it is not known."""
    return next((said for sign, said in _LOOKALIKES.items() if sign in text), None)


def check_phrases(stream: list[Token]) -> None:
    """Refuse phrases of other languages with what ADQL has for them.

    Parameters
    ----------
    stream
        The tokens of a query.

    Raises
    ------
    AdqlError
        At the first.
    """
    for at, token in enumerate(stream):
        said = _said(stream, at)
        if said is not None:
            raise AdqlError(said, (token.start, token.end))


def _said(stream: list[Token], at: int) -> str | None:
    word = _word(stream, at)
    before = stream[at - 1].token_type if at else None
    after, second = _word(stream, at + 1), _word(stream, at + 2)
    found: str | None = None
    if at == 0:
        found = _COMMANDS.get(word)
    elif word in _WORDS and before != TokenType.DOT:
        found = _WORDS[word]
    elif word == "TOP" and after == "(":
        found = "Write TOP without parentheses: TOP 10."
    elif word in {"ROW", "ROWS"} and _word(stream, at - 2) == "OFFSET":
        found = f"Write OFFSET and the number alone: OFFSET {stream[at - 1].text}."
    elif word == "NOT" and after == "NULL" and before in _OPERANDS:
        found = "Write IS NOT NULL."
    elif word in {"ISNULL", "NOTNULL"} and before in _NAMES and _tests(stream, at):
        found = "Write IS NULL." if word == "ISNULL" else "Write IS NOT NULL."
    elif word == "WITHIN" and (after, second) == ("GROUP", "("):
        found = "ADQL has no percentiles. ivo_histogram counts the values in bins."
    elif word == "~" and at + 1 < len(stream) and stream[at + 1].token_type == TokenType.STRING:
        found = "ADQL has no regular expressions. Write LIKE or ILIKE."
    return found


def _tests(stream: list[Token], at: int) -> bool:
    """Whether a word ends a condition; elsewhere it may be a name that a query gives."""
    if _word(stream, at + 1) not in {"", ")", "AND", "OR", "GROUP BY", "ORDER BY"}:
        return False
    kinds = [token.token_type for token in stream[:at]]
    return TokenType.FROM in kinds and TokenType.WHERE in kinds[kinds.index(TokenType.FROM) :]


def _word(stream: list[Token], at: int) -> str:
    """Give a word or sign in capitals; nothing for texts, names in quotes and beyond the ends."""
    if not 0 <= at < len(stream) or stream[at].token_type in _TEXTS:
        return ""
    return stream[at].text.upper()
