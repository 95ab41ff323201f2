"""Modules that run when they are first used. In processes of their own: what is imported stays imported."""

import subprocess
import sys

SETTING = "import sys; from dozen.node import lazily; lazily.import_lazily()\n"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", SETTING + program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_module_runs_when_something_of_it_is_used() -> None:
    said = run(
        "import textwrap; print(type(textwrap).__name__, 'dedent' in vars(textwrap))\n"
        "print(textwrap.dedent(' a')); print(type(textwrap).__name__, textwrap.__spec__.loader.__class__.__name__)\n"
    )
    assert said.splitlines() == ["_Later False", "a", "module SourceFileLoader"]


def test_names_taken_out_of_it_are_its_own() -> None:
    assert run("from textwrap import dedent; import textwrap; print(dedent is textwrap.dedent)") == "True\n"


def test_what_it_does_not_have_is_an_attribute_error() -> None:
    assert run("import textwrap\ntry: textwrap.nothing\nexcept AttributeError: print('none')") == "none\n"


def test_asyncio_leaves_most_of_them_alone_and_still_works() -> None:
    said = run(
        "import asyncio; print([name for name in ('inspect', 'ast', 'subprocess', 'traceback', 'asyncio.sslproto')\n"
        "  if type(sys.modules.get(name)).__name__ == 'module'])\n"
        "async def main():\n"
        "    process = await asyncio.create_subprocess_exec('echo', 'said', stdout=asyncio.subprocess.PIPE)\n"
        "    return (await process.communicate())[0]\n"
        "print(asyncio.run(main()))\n"
        "async def fail(): raise ValueError('a reason')\n"
        "asyncio.get_event_loop_policy().new_event_loop().run_until_complete(asyncio.sleep(0))\n"
        "import traceback\n"
        "try: asyncio.run(fail())\n"
        "except ValueError: print(traceback.format_exc().splitlines()[-1])\n"
        "print(type(traceback.extract_stack()).__name__)\n"
    )
    assert said.splitlines() == ["[]", "b'said\\n'", "ValueError: a reason", "StackSummary"]


def test_threads_that_come_together_find_it_whole() -> None:
    said = run(
        "import threading, ast\n"
        "found = []\n"
        "threads = [threading.Thread(target=lambda: found.append(ast.literal_eval('[1]'))) for _ in range(8)]\n"
        "[each.start() for each in threads]; [each.join() for each in threads]; print(found == [[1]] * 8)\n"
    )
    assert said == "True\n"


def test_nothing_of_dhcpv6_is_loaded_before_it_is_asked_for() -> None:
    said = run(
        "import logging; from dozen.engine.store import Store; from dozen.node.controllers import network, settings\n"
        "list(network.network_controllers()), list(network.network_watchers(Store(), logging.getLogger()))\n"
        "print(*sorted(name for name in sys.modules if 'dhcp' in name))\n"
    )
    assert said.split() == [
        *("dozen.linux.dhcp", "dozen.linux.dhcp_client", "dozen.linux.dhcp_socket"),
        "dozen.node.controllers.network.dhcp",
    ]
