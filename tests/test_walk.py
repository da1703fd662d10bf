"""The stranger's walk: home page, sign in, own server, first notebook to its end, sign out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.browsing import (
    DESKTOP,
    PHONE,
    browser,
    requests_to_other_hosts,
    screenshot_folder,
)
from tests.support.platform import ADMIN, Platform

NOTEBOOK = "notebooks/tutorials/01_first_query.ipynb"
LAB_READY = 60_000


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    with browser(viewport=DESKTOP) as context:
        yield context


def sign_in(page: Page, platform: Platform) -> None:
    page.goto(platform.url)
    page.get_by_role("link", name=re.compile("sign in", re.IGNORECASE)).first.click()
    page.get_by_label(re.compile("user ?name", re.IGNORECASE)).fill(ADMIN[0])
    page.get_by_label(re.compile("password", re.IGNORECASE)).first.fill(ADMIN[1])
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
    page.wait_for_load_state()


def open_notebook(page: Page, platform: Platform) -> None:
    page.goto(f"{platform.url}hub/user-redirect/lab/tree/{NOTEBOOK}")
    page.wait_for_selector(".jp-NotebookPanel", timeout=LAB_READY)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=LAB_READY)


@pytest.mark.req("RUN-1", "NB-1")
def test_a_stranger_signs_in_runs_the_first_notebook_and_signs_out(
    platform: Platform, context: BrowserContext
) -> None:
    page = context.pages[0]
    strangers = requests_to_other_hosts(context, f"127.0.0.1:{platform.port}")
    sign_in(page, platform)
    open_notebook(page, platform)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # The last code cell has a number only when every one before it has ended.
    last = page.locator(".jp-CodeCell").last
    last.scroll_into_view_if_needed()
    expect(last.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=120_000)
    assert page.locator('[data-mime-type="application/vnd.jupyter.stderr"]').count() == 0
    assert page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert page.locator(".jp-OutputArea-output img").count() >= 2
    page.screenshot(path=screenshot_folder() / "notebook.png")
    assert strangers == []

    page.goto(f"{platform.url}hub/home")
    page.get_by_role("link", name=re.compile("(log|sign) out", re.IGNORECASE)).click()
    page.goto(f"{platform.url}hub/home")
    expect(page.get_by_label(re.compile("password", re.IGNORECASE)).first).to_be_visible()


@pytest.mark.req("HOME-2", "HUB-4")
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_fit_the_screen_and_load_nothing_from_elsewhere(
    platform: Platform, viewport: dict[str, int]
) -> None:
    width = viewport["width"]
    with browser(viewport=viewport) as context:
        strangers = requests_to_other_hosts(context, f"127.0.0.1:{platform.port}")
        page = context.pages[0]
        page.goto(platform.url)
        expect(page.get_by_text("sim", exact=False).first).to_be_visible()
        page.screenshot(path=screenshot_folder() / f"home-{width}.png", full_page=True)
        sign_in(page, platform)
        for name in ("", "docs/", "hub/home", "hub/token", "hub/admin", "hub/no-such-page"):
            page.goto(platform.url + name)
            page.wait_for_load_state("networkidle")
            page.screenshot(
                path=screenshot_folder() / f"{name.strip('/').replace('/', '-')}-{width}.png",
                full_page=True,
            )
            overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert overflow <= 0, f"/{name} is {overflow} px wider than the screen"
    assert strangers == []
