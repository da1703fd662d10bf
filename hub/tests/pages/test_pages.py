"""The hub's pages in a real browser, at desktop and phone width, light and dark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
from hub.tests.support import ADMIN_PASSWORD, Platform, identify
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.support.browsing import CHROMIUM, FLAGS

WIDTHS = {"desktop": 1280, "phone": 390}
SHOTS = os.environ.get("CERRO_SCREENSHOTS")
"""Folder for pictures of the pages, for people who look at them."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """A page and what went wrong on it."""

    def __init__(self, browser: Browser, platform: Platform, width: int, scheme: str) -> None:
        context = browser.new_context(
            base_url=platform.address,
            viewport={"width": width, "height": 844},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = context.new_page()
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlparse(request.url).netloc))

    def sign_in(self, name: str = "admin") -> None:
        self.page.goto("hub/login")
        self.page.fill("#username_input", name)
        self.page.fill("#password_input", ADMIN_PASSWORD)
        self.page.click("#login_submit")
        self.page.wait_for_url("**/hub/home")

    def look(self, name: str) -> None:
        """Check what holds on every page; take its picture for people."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert self.page.evaluate(wide) <= 0, f"{name} needs no sideways scrolling"
        assert self.page.locator("header.cerro-header").is_visible()
        assert self.page.locator("header.cerro-header img").evaluate("i => i.naturalWidth") > 0
        assert self.problems == []

    def background(self) -> list[int]:
        colour = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return [int(part) for part in re.findall(r"\d+", colour)[:3]]


@pytest.fixture(params=[(w, s) for w in WIDTHS for s in ("light", "dark")], ids="-".join)
def visit(
    request: pytest.FixtureRequest, browser: Browser, platform: Platform
) -> Iterator[tuple[Visit, str]]:
    width, scheme = request.param
    made = Visit(browser, platform, WIDTHS[width], scheme)
    yield made, f"{width}-{scheme}"
    made.page.context.close()


@pytest.mark.req("HUB-4")
def test_every_page_carries_the_look_and_fits(visit: tuple[Visit, str], platform: Platform) -> None:
    person, kind = visit
    page = person.page
    page.goto("hub/login")
    person.look(f"login-{kind}")
    assert (sum(person.background()) < 3 * 80) == ("dark" in kind)
    person.sign_in()
    person.look(f"home-{kind}")
    page.get_by_role("link", name="API tokens").click()
    expect(page.get_by_role("heading", name="API tokens", exact=True)).to_be_visible()
    person.look(f"token-{kind}")
    page.get_by_role("link", name="Admin").click()
    expect(page.get_by_role("button", name=re.compile("Add Users"))).to_be_visible()
    person.look(f"admin-{kind}")
    assert page.goto("hub/nowhere").status == 404  # type: ignore[union-attr]
    person.look(f"error-404-{kind}")
    page.goto("user/admin/lab/tree/mine.ipynb")
    expect(page.get_by_role("heading", name="Your server is not running")).to_be_visible()
    person.look(f"not-running-{kind}")
    page.goto("hub/logout")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert person.hosts == {f"127.0.0.1:{platform.port}"}, "nothing comes from another host"


@pytest.mark.req("HUB-4")
def test_a_refusal_is_told_in_the_same_look(browser: Browser, platform: Platform) -> None:
    person = Visit(browser, platform, 390, "light")
    person.sign_in("ada")
    assert person.page.goto("hub/admin").status == 403  # type: ignore[union-attr]
    person.look("error-403-phone-light")
    expect(person.page.get_by_role("heading", name="You may not see this")).to_be_visible()
    person.page.context.close()


@pytest.mark.req("HUB-4")
def test_a_wrong_password_is_told_on_the_form(browser: Browser, platform: Platform) -> None:
    person = Visit(browser, platform, 390, "dark")
    page = person.page
    page.goto("hub/login")
    page.fill("#username_input", "ada")
    page.fill("#password_input", "not-the-password")
    page.click("#login_submit")
    expect(page.get_by_role("alert").first).to_have_text("Invalid username or password")
    assert page.input_value("#username_input") == "ada"
    person.look("login-wrong-phone-dark")
    page.context.close()


@pytest.mark.req("HUB-4")
@pytest.mark.parametrize(("width", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_the_start_of_a_server_shows_its_progress_and_ends_in_jupyterlab(
    browser: Browser, platform: Platform, width: str, scheme: str
) -> None:
    person = Visit(browser, platform, WIDTHS[width], scheme)
    page = person.page
    person.sign_in()
    page.get_by_role("link", name="Start my server").click()
    page.wait_for_url("**/hub/spawn-pending/admin**")
    expect(page.locator("#log li").filter(has_text="The server's process runs")).to_be_visible()
    person.look(f"pending-{width}-{scheme}")
    page.wait_for_url("**/user/admin/lab**")
    page.wait_for_selector(".jp-Launcher, .jp-NotebookPanel", timeout=60_000)
    page.goto("hub/home")
    person.look(f"home-running-{width}-{scheme}")
    page.get_by_role("button", name="Stop my server").click()
    expect(page.get_by_role("link", name="Start my server")).to_be_visible(timeout=20_000)
    assert person.problems == []
    page.context.close()


@pytest.mark.req("HUB-6")
def test_a_token_is_made_used_and_revoked_on_its_page(browser: Browser, platform: Platform) -> None:
    person = Visit(browser, platform, 1280, "light")
    page = person.page
    person.sign_in("ada")
    page.get_by_role("link", name="Manage tokens").click()
    assert "TOPCAT" in page.inner_text("#content")
    page.get_by_label("What is it for?").fill("TOPCAT on my laptop")
    page.get_by_label("Read images").uncheck()
    page.get_by_label("How long is it good?").select_option("1 week")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("heading", name="Your new token")).to_be_visible()
    person.look("token-made-desktop-light")
    token = page.inner_text("#token-result")
    model = identify(platform.address, token).json()
    assert [s for s in model["scopes"] if s.startswith("custom:")] == ["custom:read:tap"]
    row = page.get_by_role("row").filter(has_text="TOPCAT on my laptop")
    expect(row).to_contain_text("read:tap")
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert identify(platform.address, token).status_code == 403
    page.context.close()


@pytest.mark.req("HUB-4")
def test_what_the_front_door_says_while_a_part_restarts_is_in_the_same_look(
    browser: Browser, platform: Platform
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    file = Path(__file__).parents[2] / "src/cerro_hub/pages/proxy_errors/error.html"
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", name="One moment")).to_be_visible()
    page.close()
