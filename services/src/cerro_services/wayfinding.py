"""What is said of an address that nobody answers, or not by this method."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, compile_path

_ALIKE = 0.75


class Signpost:
    """Knows the addresses of an application and what each of them answers.

    Parameters
    ----------
    routes
        Of the application.
    url
        Address of the platform.
    """

    def __init__(self, routes: Sequence[BaseRoute], url: str) -> None:
        self._url = url
        self._methods: dict[str, set[str]] = {}
        for route in iter_route_contexts(routes):
            path: str | None = route.path
            if path is not None:
                self._methods.setdefault(path, set()).update(route.methods or ())
        self._patterns: list[tuple[re.Pattern[str], str]] = [
            (compile_path(path)[0], path) for path in self._methods
        ]
        plain = [path for path in self._methods if "{" not in path]
        self._plain = {path.lower(): path for path in plain if "health" not in path}

    def methods(self, path: str) -> list[str]:
        """Give the methods that an address answers, OPTIONS among them; none if it is unknown."""
        found: set[str] = set()
        for pattern, known in self._patterns:
            if pattern.match(path):
                found |= self._methods[known]
        return sorted(found | {"OPTIONS"}) if found else []

    def unknown(self, path: str) -> str:
        """Say what may have been meant by an address that there is not."""
        close = get_close_matches(path.rstrip("/").lower(), self._plain, n=1, cutoff=_ALIKE)
        if close:
            hint = f"Did you mean {self._url}{self._plain[close[0]]}?"
        else:
            hint = f"{self._url}{self._start(path)} names what there is."
        return f"There is no {path}. {hint}"

    def refused(self, path: str, method: str) -> str:
        """Say which methods an address answers."""
        others = [name for name in self.methods(path) if name not in {"OPTIONS", "HEAD"}]
        return f"{path} does not answer {method}. Send {' or '.join(others)}."

    def _start(self, path: str) -> str:
        """Give the nearest address above that is a page of its own."""
        while path := path.rpartition("/")[0]:
            if path.lower() in self._plain:
                return self._plain[path.lower()]
        return "/api"
