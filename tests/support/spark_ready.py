"""Waits until a Spark Connect server answers, with two workers at work; for spark.sh."""

from __future__ import annotations

import os
import sys

from cerro_services.engine import EngineError
from cerro_services.engine.sparksession import Session
from tests.support.waiting import eventually


def main() -> int:
    """Ask for the sum of two numbers that are added by two tasks, until the answer comes."""
    url = os.environ["CERRO_SPARK_URL"]

    def opened() -> Session | None:
        try:
            return Session(url)
        except EngineError:
            return None

    session = eventually(opened, f"Spark answers at {url}", 90)
    assert session is not None
    plan = Session.messages().Plan()
    plan.root.sql.query = "SELECT sum(id) AS total FROM range(0, 1000, 1, 2)"
    (batch,) = session.run(plan, "ready", lambda _: None)
    session.close()
    print(f"Spark answers at {url}.")
    return 0 if batch.column(0)[0].as_py() == 499_500 else 1


if __name__ == "__main__":
    sys.exit(main())
