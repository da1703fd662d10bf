"""The pages in a real browser: nothing from elsewhere, no sideways scrolling, light and dark."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page
from tests.support.browsing import DESKTOP, PHONE, browser, requests_to_other_hosts

PATHS = ["/", "/nowhere", "/docs/", "/docs/getting-started.html", "/docs/search.html?q=release"]


def complaints(page: Page) -> list[str]:
    """Collect what the browser complains of from now on: errors, and what the policy forbade."""
    found: list[str] = []
    page.on("console", lambda m: found.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.mark.req("HOME-1", "HOME-2")
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_fit_and_load_nothing_from_elsewhere(portal: str, viewport: dict[str, int]) -> None:
    with browser(viewport=viewport) as context:
        strangers = requests_to_other_hosts(context, urlsplit(portal).netloc)
        page = context.pages[0]
        found = complaints(page)
        for path in PATHS:
            page.goto(portal + path)
            page.wait_for_load_state("networkidle")
            too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert too_wide <= 0, f"{path} is {too_wide} px too wide"
        assert strangers == []
        # A missing page is told as an error by the browser too; anything else is ours to mend.
        assert [text for text in found if "404" not in text] == []


@pytest.mark.req("HOME-1")
def test_home_follows_light_and_dark(portal: str) -> None:
    with browser() as context:
        page = context.pages[0]
        grounds = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{portal}/")
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds == ["rgb(250, 248, 245)", "rgb(15, 20, 36)"]


@pytest.mark.req("HOME-1")
def test_a_button_copies_the_example(portal: str) -> None:
    with browser() as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.pages[0]
        page.goto(f"{portal}/")
        example = page.locator(".release .copyable")
        example.get_by_role("button", name="Copy").click()
        example.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("SELECT TOP 10")


@pytest.mark.req("HOME-1")
@pytest.mark.parametrize("name", ["ada", "<i>eve</i>", None])
def test_home_shows_who_is_signed_in(portal: str, name: str | None) -> None:
    from html import escape

    with browser() as context:
        # The hub is another process with a page of its own; only what its page says matters here.
        user = f' data-cerro-user="{escape(name, quote=True)}"' if name else ""
        body = f"<head><style>a {{ color: red }}</style></head><body{user}></body>"
        context.route(
            "**/hub/home", lambda route: route.fulfill(body=body, content_type="text/html")
        )
        context.add_cookies([{"name": "jupyterhub-session-id", "value": "x", "url": portal}])
        page = context.pages[0]
        found = complaints(page)
        page.goto(f"{portal}/")
        page.wait_for_load_state("networkidle")
        assert found == []
        sign_in = page.get_by_role("link", name="Sign in")
        if name is None:
            assert sign_in.is_visible()
            assert not page.locator("[data-user]").is_visible()
        else:
            page.get_by_text(name, exact=True).wait_for()
            assert page.get_by_role("link", name="Log out").is_visible()
            assert not sign_in.is_visible()


@pytest.mark.req("HOME-1")
def test_a_visitor_without_session_is_not_asked_about(portal: str) -> None:
    with browser() as context:
        asked: list[str] = []
        context.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page = context.pages[0]
        page.goto(f"{portal}/")
        page.wait_for_load_state("networkidle")
    assert not [path for path in asked if path.startswith("/hub")]
