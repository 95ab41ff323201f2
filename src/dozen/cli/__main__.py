"""Starts `dozenctl`: first of all what the standard library imports for rare cases is put off until it is needed.

Most commands are over in less time than Python takes to import asyncio with everything that hangs on it. The node has
the same worry and the mechanism for it.
"""

from __future__ import annotations

from dozen.node.lazily import LATER, import_lazily


def main() -> None:
    """Entry point of the program."""
    # click has a type of parameter for it, which no command here uses.
    LATER["uuid"] = {}
    import_lazily()
    from dozen.cli import main as program

    program.main()


if __name__ == "__main__":
    main()
