"""ADQL 2.1 as a strict dialect of sqlglot.

sqlglot accepts nearly anything that some database accepts. Here its tokenizer knows the words of
ADQL and no others, its parser knows no function (each is looked up later by name), and
`cerro_services.adql.grammar` then refuses every token, word and clause that ADQL has not.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp, parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from cerro_services.adql.errors import AdqlError
from cerro_services.adql.grammar import check_tree
from cerro_services.adql.hints import hint
from cerro_services.adql.lexis import check_tokens
from cerro_services.adql.neighbours import check_neighbours
from cerro_services.adql.rewriting import rewritten

_WORDS: dict[str, TokenType] = {
    "ALL": TokenType.ALL,
    "AND": TokenType.AND,
    "AS": TokenType.ALIAS,
    "ASC": TokenType.ASC,
    "BETWEEN": TokenType.BETWEEN,
    "BIGINT": TokenType.BIGINT,
    "BOOLEAN": TokenType.BOOLEAN,
    "CHAR": TokenType.CHAR,
    "CROSS": TokenType.CROSS,
    "DESC": TokenType.DESC,
    "DISTINCT": TokenType.DISTINCT,
    "DOUBLE": TokenType.DOUBLE,
    "DOUBLE PRECISION": TokenType.DOUBLE,
    "EXCEPT": TokenType.EXCEPT,
    "EXISTS": TokenType.EXISTS,
    "FALSE": TokenType.FALSE,
    "FROM": TokenType.FROM,
    "FULL": TokenType.FULL,
    "GROUP BY": TokenType.GROUP_BY,
    "HAVING": TokenType.HAVING,
    "ILIKE": TokenType.ILIKE,
    "IN": TokenType.IN,
    "INNER": TokenType.INNER,
    "INT": TokenType.INT,
    "INTEGER": TokenType.INT,
    "INTERSECT": TokenType.INTERSECT,
    "IS": TokenType.IS,
    "JOIN": TokenType.JOIN,
    "LEFT": TokenType.LEFT,
    "LIKE": TokenType.LIKE,
    "NATURAL": TokenType.NATURAL,
    "NOT": TokenType.NOT,
    "NULL": TokenType.NULL,
    "OFFSET": TokenType.OFFSET,
    "ON": TokenType.ON,
    "OR": TokenType.OR,
    "ORDER BY": TokenType.ORDER_BY,
    "OUTER": TokenType.OUTER,
    "REAL": TokenType.FLOAT,
    "RIGHT": TokenType.RIGHT,
    "SELECT": TokenType.SELECT,
    "SMALLINT": TokenType.SMALLINT,
    "TIMESTAMP": TokenType.TIMESTAMP,
    "TOP": TokenType.TOP,
    "TRUE": TokenType.TRUE,
    "UNION": TokenType.UNION,
    "USING": TokenType.USING,
    "VARCHAR": TokenType.VARCHAR,
    "WHERE": TokenType.WHERE,
    "WITH": TokenType.WITH,
    "<>": TokenType.NEQ,
    "!=": TokenType.NEQ,
    "<=": TokenType.LTE,
    ">=": TokenType.GTE,
    "||": TokenType.DPIPE,
}


class Adql(Dialect):
    """ADQL 2.1 (https://www.ivoa.net/documents/ADQL/20231215/)."""

    INTERSECT_BINDS_TIGHTER_THAN_UNION_AND_EXCEPT = True

    class Tokenizer(tokens.Tokenizer):
        """The words and signs of ADQL."""

        KEYWORDS = _WORDS
        COMMENTS: ClassVar[list[str | tuple[str, str]]] = ["--"]
        COMMANDS: ClassVar[set[TokenType]] = set()
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ['"']
        QUOTES: ClassVar[list[str | tuple[str, str]]] = ["'"]
        HEX_STRINGS: ClassVar[list[str | tuple[str, str]]] = [("0x", ""), ("0X", "")]

    class Parser(parser.Parser):
        """sqlglot's parser without the functions and clauses of any database."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        NO_PAREN_FUNCTIONS: ClassVar[dict[TokenType, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            "CAST": lambda self: self._parse_cast(True),
        }
        QUERY_MODIFIER_PARSERS: ClassVar[dict[TokenType, Any]] = {
            kind: parse
            for kind, parse in parser.Parser.QUERY_MODIFIER_PARSERS.items()
            if kind
            in {
                TokenType.WHERE,
                TokenType.GROUP_BY,
                TokenType.HAVING,
                TokenType.ORDER_BY,
                TokenType.OFFSET,
            }
        }
        # POINT(…), LEFT(…) and the like: every name before a parenthesis is a function's.
        FUNC_TOKENS: ClassVar[set[TokenType]] = {TokenType.VAR, TokenType.EXISTS}

        def _parse_join(self, *args: Any, **kwargs: Any) -> exp.Join | None:
            # sqlglot makes one node of `a, b` and of `a JOIN b`; only the first needs no ON.
            comma = self._curr is not None and self._curr.token_type == TokenType.COMMA
            join = super()._parse_join(*args, **kwargs)
            if join is not None and not comma:
                join.meta["explicit"] = True
            return join


_DIALECT = Adql()


def tokenize(text: str) -> list[Token]:
    """Split a query into tokens.

    Raises
    ------
    AdqlError
        A quote that is not closed.
    """
    try:
        return list(_DIALECT.tokenize(text))
    except TokenError:
        quote = max(text.rfind("'"), text.rfind('"'))
        message = "A quote is opened here or before and never closed."
        raise AdqlError(message, (quote, quote)).located(text) from None


def parse(text: str) -> exp.Query:
    """Parse a query, and refuse what is not ADQL.

    Parameters
    ----------
    text
        The query.

    Returns
    -------
    sqlglot.exp.Query
        A tree that holds nothing but the nodes and clauses of ADQL. Names are as written.

    Raises
    ------
    AdqlError
        The text is not ADQL; the message has line, column and a caret.
    """
    try:
        stream = tokenize(text)
        check_tokens(stream)
        written, stream = stream, rewritten(stream)
        try:
            statements = _DIALECT.parser().parse(stream, text)
        except ParseError as error:
            raise _located(error, stream) from None
        except TokenError:
            # sqlglot reads some names again, as types, and stumbles over a quote in them.
            odd = next((token for token in stream if '"' in token.text), stream[0])
            raise AdqlError(
                "A name in double quotes has no place here, or a parenthesis before it.",
                (odd.start, odd.end),
            ) from None
        if len(statements) != 1 or statements[0] is None:
            raise AdqlError("A query is one SELECT.")
        tree = statements[0]
        _raise_with(tree)
        check_tree(tree, stream)
        check_neighbours(written)
    except AdqlError as error:
        raise error.located(text) from None
    except RecursionError:
        raise AdqlError(
            "The query is nested too deeply. Write it with fewer parentheses."
        ) from None
    assert isinstance(tree, exp.Query)
    return tree


def _raise_with(tree: exp.Expr) -> None:
    """Put WITH at the root of the tree: of `WITH … (SELECT …)` sqlglot puts it inside."""
    clause = tree.find(exp.With)
    if clause is not None and clause.parent is not tree:
        clause.pop()
        tree.set("with_", clause)


def _located(error: ParseError, stream: list[Token]) -> AdqlError:
    detail = error.errors[0] if error.errors else {}
    line, column = detail.get("line"), detail.get("col")
    for at, token in enumerate(stream):
        if token.line == line and token.col == column:
            said, place = hint(stream, at)
            if said:
                return AdqlError(said, (stream[place].start, stream[place].end))
            if token is stream[-1] and "Invalid expression" not in str(detail.get("description")):
                message = f"The query ends too early after {token.text!r}."
            else:
                message = f"{token.text!r} has no place here."
            return AdqlError(message, (token.start, token.end))
    return AdqlError("The query cannot be read as ADQL.")
