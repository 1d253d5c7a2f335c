"""Part of `tools/profile-gateway`: what one event calls, in the order in which it is called."""

import sys
from pathlib import Path

from labkit.processes import run_as_command
from labkit.topology import end_by_signals

from . import turns

KEPT = 16
"""Of the turns, the last ones: by then all that is made once is made."""


def main() -> int:
    agent, into = (Path(word).resolve() for word in sys.argv[1:3])
    functions = turns.Functions(agent)
    names = {
        functions.at(address): None
        for kind in turns.KINDS
        for turn in turns.measure(agent, functions, kind)[-KEPT:]
        for address in turn
    }
    into.write_text("".join(f"{name}\n" for name in names))
    print(f"{len(names)} functions")
    return 0


if __name__ == "__main__":
    end_by_signals()
    run_as_command("profile-gateway", main)
