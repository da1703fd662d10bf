"""The look can be read: its colours have enough contrast, light and dark."""

from __future__ import annotations

import re

import pytest

from cerro import brand

CSS = (brand.folder() / "cerro.css").read_text(encoding="utf-8")
TEXT = ["fg", "muted", "accent", "accent-strong", "warm", "success", "danger"]
GROUND = ["bg", "surface"]


def tokens(scheme: str) -> dict[str, str]:
    """Give the colours by name; dark ones replace light ones."""
    light, dark = (dict(re.findall(r"--cerro-([\w-]+): (#\w{6});", part)) for part in split())
    return light if scheme == "light" else light | dark


def split() -> tuple[str, str]:
    """Cut the style sheet into the light tokens and the dark ones."""
    before, _, after = CSS.partition("@media (prefers-color-scheme: dark)")
    return before, after.partition("/* ---- ground")[0]


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` (WCAG 2.2, section 'relative luminance')."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.req("HOME-3")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    colours = tokens(scheme)
    pairs = [(text, ground) for text in TEXT for ground in GROUND]
    pairs += [("on-accent", "accent"), ("fg", "sunken"), ("muted", "sunken")]
    poor = {pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 4.5}
    assert poor == set()


@pytest.mark.req("HOME-2")
def test_the_look_needs_no_other_host() -> None:
    for path in brand.folder().iterdir():
        if path.suffix in {".css", ".svg"}:
            text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "//" not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL), path.name


@pytest.mark.req("HOME-1")
def test_the_files_that_pages_link_to_are_there() -> None:
    there = {path.name for path in brand.folder().iterdir()}
    assert {"cerro.css", "logo.svg", "horizon.svg", "favicon.svg", "favicon.ico"} <= there
