"""Names of people and groups in HTTP headers, which hold bytes (RFC 9110 §5.5)."""

from __future__ import annotations


def written(text: str) -> str:
    """Write a name as a header's value: in UTF-8, without control characters.

    Parameters
    ----------
    text
        The name.
    """
    return "".join(filter(str.isprintable, text)).encode().decode("latin-1")


def read(text: str) -> str:
    """Read a name from a header's value.

    Parameters
    ----------
    text
        The value, byte for byte as Latin-1.
    """
    try:
        return text.encode("latin-1").decode().strip()
    except UnicodeError:
        return text.strip()
