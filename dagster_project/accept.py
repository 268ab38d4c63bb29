"""`make accept RELEASE=<name> REASON="..."`: let a release be published although its completeness or drift fails.

Acceptances are lines of acceptances.jsonl under MYONORM_HOME, never changed; they are published (`ref.acceptance`).
"""

import argparse
import json
import os
import sys
from datetime import UTC, datetime

from dagster_project.defs.releases import UnusableRelease, open_release
from dagster_project.settings import load_settings


def accept(name: str, reason: str) -> None:
    """Record the acceptance of a release.

    Raises
    ------
    UnusableRelease
        If there is no such release, or no reason is given.
    """
    settings = load_settings()
    open_release(settings.releases, name)
    if not reason.strip():
        raise UnusableRelease("An acceptance needs a reason: it is published with the numbers.")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = {"release": name, "reason": reason.strip(), "accepted_at": now}
    with settings.acceptances_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def main() -> int:
    """Command line: name of a release, reason."""
    parser = argparse.ArgumentParser(description="Let a release be published although its completeness or drift fails.")
    parser.add_argument("release")
    parser.add_argument("reason", help="published with the numbers: no personal data")
    arguments = parser.parse_args()
    try:
        accept(arguments.release, arguments.reason)
    except UnusableRelease as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    print(f"accepted {arguments.release}: run make update RELEASE={arguments.release}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
