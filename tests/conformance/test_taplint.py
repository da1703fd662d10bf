"""taplint, the VO's own judge of TAP services, over all of its stages."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.conformance.conftest import STILTS, Archive, needs_stilts
from tests.conformance.survey import CLOSED
from tests.support.forwarding import forwarding
from tests.support.platform import ADMIN, Platform
from tests.support.tokens import token_for

STAGES = {
    "TMV", "TME", "TMS", "TMC", "CPV", "CAP", "AVV", "QGE", "QPO", "QAS", "UWS", "MDQ", "OBS",
    "LOC", "UPL", "EXA",
}  # fmt: skip
NOT_OFFERED = {
    "F-LOC-NOTP": "no table ivoa.obsplan: ObsLocTAP is for observatories that announce plans",
    "F-OBS-NOOB": "no table ivoa.ObsCore: no images are published yet",
}
"""What taplint cannot check, since the standard leaves it to the service, with the reason."""

pytestmark = [needs_stilts, pytest.mark.timeout(900)]


def taplint(tap: str, token: str | None = None) -> str:
    """Run taplint and give its report.

    Debian's STILTS sends a password only when it is refused without; so a proxy adds the token.
    """
    assert STILTS is not None

    def run(*options: str) -> str:
        done = subprocess.run(
            [STILTS, *options, "taplint", f"tapurl={tap}", "maxtable=30"],
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert "Totals: Errors:" in done.stdout, done.stdout + done.stderr
        return done.stdout

    if token is None:
        return run()
    with forwarding(token) as port:
        return run(
            "-Dhttp.proxyHost=127.0.0.1", f"-Dhttp.proxyPort={port}", "-Dhttp.nonProxyHosts="
        )


def check(report: str) -> None:
    """Demand that every stage ran and that none found a fault."""
    assert {name for name in STAGES if f"Section {name}:" in report} == STAGES
    found = re.findall(r"^([EWF]-\w{3}-\w+)(-\S+ .*)$", report, re.MULTILINE)
    assert [code + text for code, text in found if code not in NOT_OFFERED] == []
    # A stage that cannot reach what it is for would say so as information, and pass.
    asked = re.findall(r"^S-(\w{3})-QNUM-\d+ .* (\d+)/(\d+)$", report, re.MULTILINE)
    assert {"QGE", "QPO", "QAS", "MDQ"} <= {stage for stage, _, _ in asked}
    assert all(answered == submitted != "0" for _, answered, submitted in asked)
    assert "I-UPL-QSUB-2 " in report, "uploads are asked for, in both serialisations"
    tried = re.search(r"Execution success/attempt: (\d+)/(\d+)", report)
    assert tried is not None
    assert tried[1] == tried[2] != "0", "every example gives an answer"


@pytest.mark.req("VO-1")
def test_no_fault_is_found_by_the_public(archive: Archive) -> None:
    report = taplint(archive.tap)
    check(report)
    assert CLOSED not in report


@pytest.mark.req("VO-1")
def test_no_fault_is_found_with_a_token(archive: Archive) -> None:
    report = taplint(archive.tap, archive.token)
    check(report)
    assert f"dp1.{CLOSED}" in report, "the token opens a table"


@pytest.mark.req("VO-1")
def test_no_fault_is_found_at_the_front_door(platform: Platform) -> None:
    check(taplint(platform.tap_url))
    check(taplint(platform.tap_url, token_for(platform, *ADMIN)))
