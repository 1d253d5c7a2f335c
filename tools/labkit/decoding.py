"""`mifctl decode`, run on a capture file."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

Decoded = dict[str, Any]


def mifctl(path: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [os.environ.get("MIFCTL", "mifctl"), "decode", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


def decode(path: Path) -> list[Decoded]:
    """One object for each frame of the file."""
    return [json.loads(line) for line in mifctl(path, "--json").stdout.splitlines()]


def content(line: Decoded) -> Decoded:
    """Without what is known of the frame beside the packet."""
    return {name: value for name, value in line.items() if name not in ("number", "time_ns", "ifindex", "vlans")}
