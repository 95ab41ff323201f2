"""One target under atheris: ``python -m fuzz.worker MODULE NAME`` and the fuzzer's arguments. It ends the process."""

from __future__ import annotations

import sys
from importlib import import_module

import atheris


def main() -> None:
    module, name = sys.argv.pop(1), sys.argv.pop(1)
    # Imported here, for the fuzzer to see which branches an input takes.
    with atheris.instrument_imports(include=["dozen", "hpack"], enable_loader_override=False):
        targets = import_module(module).TARGETS
    target = next(each for each in targets if each.name == name)

    atheris.Setup(sys.argv, target.take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
