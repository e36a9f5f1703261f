"""Opens the interface on the fake engine, for looking at it by hand.

`python tests/screens/run_fake.py [--empty] [--live] [--console | --no-console]`: `--empty` is a first start, `--live`
lets a machine boot over and over.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


def main() -> int:
    """Open it; returns the exit code."""
    from app.screens.profile import detect, terminal_name

    forced = True if "--console" in sys.argv else False if "--no-console" in sys.argv else None
    profile = detect(tty=terminal_name(), forced=forced)
    os.environ.update(profile.environment())
    from app.screens.app import BootcartApp
    from tests.fakes.client import FakeClient
    from tests.screens.scenes import boot_for_ever

    client = FakeClient.empty() if "--empty" in sys.argv else FakeClient()
    plan = os.environ.get("BOOTCART_HOST_PLAN")
    app = BootcartApp(lambda: client, profile, host_plan=Path(plan) if plan else None, started_engine=True)
    if "--live" in sys.argv:
        app.call_later(lambda: app.flow(boot_for_ever(client), "the fake machine"))
    code = app.run(mouse=profile.mouse)
    if app.farewell:
        sys.stdout.write(app.farewell + "\n")
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
