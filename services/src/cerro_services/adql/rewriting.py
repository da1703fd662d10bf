"""What ADQL writes in ways that sqlglot does not read, written as it does."""

from __future__ import annotations

from sqlglot.tokenizer_core import Token, TokenType

_QUERIES = frozenset({TokenType.EXISTS, TokenType.IN})
_TABLES = frozenset({TokenType.FROM, TokenType.COMMA, TokenType.JOIN, TokenType.L_PAREN})
_NAMES = frozenset({TokenType.ALIAS, TokenType.VAR, TokenType.IDENTIFIER})
_TIMESTAMP = [TokenType.TIMESTAMP, TokenType.L_PAREN, TokenType.STRING, TokenType.R_PAREN]


def rewritten(stream: list[Token]) -> list[Token]:
    """Write timestamps and joined tables as sqlglot reads them.

    Parameters
    ----------
    stream
        The tokens of a query.

    Returns
    -------
    list of sqlglot.tokenizer_core.Token
        The tokens of the same query.
    """
    kinds = [token.token_type for token in stream]
    if TokenType.TIMESTAMP in kinds:
        stream = _without_calls(stream, kinds)
    if TokenType.JOIN in kinds:
        stream = _with_selects(stream)
    return stream


def _without_calls(stream: list[Token], kinds: list[TokenType]) -> list[Token]:
    """Read TIMESTAMP('…') as TIMESTAMP '…'."""
    dropped = set()
    for at in range(len(kinds) - 3):
        if kinds[at : at + 4] == _TIMESTAMP:
            dropped |= {at + 1, at + 3}
    return [token for at, token in enumerate(stream) if at not in dropped]


def _with_selects(stream: list[Token]) -> list[Token]:
    """Read a joined table that stands for a query as SELECT * FROM it.

    The grammar has `EXISTS (a JOIN b …)`, `IN (a JOIN b …)` and `FROM (a JOIN b …) AS c`.
    """
    begins: dict[int, Token] = {}
    # Of each open parenthesis: where it is, and which of SELECT and JOIN stands in it first.
    opened: list[tuple[int, TokenType | None]] = []
    for at, token in enumerate(stream):
        kind = token.token_type
        if kind == TokenType.L_PAREN:
            opened.append((at, None))
        elif kind in {TokenType.SELECT, TokenType.JOIN}:
            for level in range(len(opened) - 1, -1, -1):
                if opened[level][1] is not None:
                    break
                opened[level] = (opened[level][0], kind)
        elif kind == TokenType.R_PAREN and opened:
            start, first = opened.pop()
            if first == TokenType.JOIN and _is_query(stream, start, at):
                begins[start] = stream[start]
    if not begins:
        return stream
    made = []
    for at, token in enumerate(stream):
        made.append(token)
        if at in begins:
            made += [
                _at(token, kind, text)
                for kind, text in (
                    (TokenType.SELECT, "SELECT"),
                    (TokenType.STAR, "*"),
                    (TokenType.FROM, "FROM"),
                )
            ]
    return made


def _is_query(stream: list[Token], start: int, end: int) -> bool:
    before = stream[start - 1].token_type if start else None
    after = stream[end + 1].token_type if end + 1 < len(stream) else None
    return before in _QUERIES or (before in _TABLES and after in _NAMES)


def _at(token: Token, kind: TokenType, text: str) -> Token:
    return Token(
        token_type=kind,
        text=text,
        line=token.line,
        col=token.col,
        start=token.start,
        end=token.end,
    )
