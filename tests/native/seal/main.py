"""Stands in for dozen.node.main in the tests of the seal: does what its first argument names and prints the outcome.

Each attack is code that is already inside, trying to get more code in from /var. ``refused: …`` is the good answer,
``came in`` the bad one. The files in /var are made by the test (`tests/native/sealed_tree.py`), which also has an
ordinary interpreter carry the attacks out: every one says ``came in`` there.
"""

# ruff: noqa: T201, BLE001, PT017 -- printing is how this program answers, and pytest is not there to help
import os
import sys

VAR, PROC = "/var", "/proc"


def change_search_path():
    sys.path.insert(0, VAR)
    import evil  # noqa: F401


def change_working_directory():
    os.chdir(VAR)
    sys.path.append("")
    import evil  # noqa: F401


def load_source():
    from importlib.machinery import SourceFileLoader

    SourceFileLoader("evil", f"{VAR}/evil.py").load_module()


def load_bytecode():
    from importlib.machinery import SourcelessFileLoader

    SourcelessFileLoader("evil", f"{VAR}/evil.pyc").load_module()


def load_extension():
    from importlib.machinery import ExtensionFileLoader, ModuleSpec

    loader = ExtensionFileLoader("probe", f"{VAR}/probe.so")
    loader.create_module(ModuleSpec("probe", loader, origin=f"{VAR}/probe.so"))


def open_library_directly():
    import probe

    probe.dlopen(f"{VAR}/probe.so")


def open_library_through_a_link():
    import probe

    probe.dlopen(f"/usr/lib/x86_64-linux-gnu/../../..{VAR}/probe.so")


def open_library_through_a_descriptor():
    import probe

    descriptor = os.open(f"{VAR}/probe.so", os.O_RDONLY)
    probe.dlopen(f"{PROC}/self/fd/{descriptor}")


def unmarshal():
    import marshal

    with open(f"{VAR}/evil.pyc", "rb") as stream:
        exec(marshal.loads(stream.read()[16:]))


def unmarshal_stream():
    import marshal

    with open(f"{VAR}/evil.pyc", "rb") as stream:
        stream.seek(16)
        exec(marshal.load(stream))


def execute_text():
    with open(f"{VAR}/evil.py") as stream:
        exec(stream.read())


def evaluate_text():
    eval("print('came in')")


def compile_text():
    exec(compile("print('came in')", "<string>", "exec"))


def make_code():
    def harmless():
        repr("came in")

    exec(harmless.__code__.replace(co_names=("print",)))


def use_ctypes():
    import ctypes

    ctypes.CDLL(f"{VAR}/probe.so")


def unpickle():
    import pickle

    pickle.loads(b"cbuiltins\nprint\n(S'came in'\ntR.")


def run_path():
    import runpy

    runpy.run_path(f"{VAR}/evil.py")


def import_from_zip():
    import zipimport

    zipimport.zipimporter(f"{VAR}/evil.zip").load_module("evil")


def prompt():
    import code

    code.InteractiveInterpreter().runsource("print('came in')\n")


def write_into_the_image():
    with open("/usr/lib/dozen/evil.py", "w") as stream:
        stream.write("print('came in')")


def abuse_frozen_modules():
    import _imp

    with open(f"{VAR}/evil.pyc", "rb") as stream:
        exec(_imp.get_frozen_object("evil", stream.read()[16:]))


def attempt(attack):
    try:
        attack()
    except BaseException as error:
        print(f"refused: {type(error).__name__}: {error}")
        return 0
    print("came in")
    return 1


def describe(argv):
    """What the interpreter was configured with, for the tests of arguments and variables."""
    import json

    about = {
        "argv": argv,
        "path": sys.path,
        "environment": dict(os.environ),
        "flags": {
            name: getattr(sys.flags, name) for name in ("isolated", "no_site", "safe_path", "utf8_mode", "inspect")
        },
        "modules": sorted(sys.modules),
    }
    print(json.dumps(about))
    return 0


def use_language(_argv):
    """The parts of the language and the library that need text to become code, and must go on working."""
    import ast
    import asyncio
    import collections
    import dataclasses
    import enum
    import typing

    point = collections.namedtuple("point", "x y")

    @dataclasses.dataclass(frozen=True, slots=True)
    class Pair:
        left: "int"
        right: int = 2

    class Colour(enum.IntFlag):
        RED = 1
        BLUE = 2

    async def answer():
        await asyncio.sleep(0)
        return ast.literal_eval("[1, 2]")

    print(point(1, 2), Pair(1), typing.get_type_hints(Pair), Colour(3), asyncio.run(answer()))
    return 0


def show_status(argv):
    """What wrapperd left: the files named, the environment, open descriptors."""
    for path in argv:
        with open(path) as stream:
            print(stream.read(), end="")
    # The importer's own were not inherited.
    numbers = [number for number in range(64) if os.path.lexists(f"/proc/self/fd/{number}")]
    inherited = [number for number in numbers if not os.readlink(f"/proc/self/fd/{number}").endswith(".bundle")]
    print("descriptors", inherited)
    return 0


def use_system_calls(_argv):
    import _dozen

    reader, writer = os.pipe()
    pid, pidfd = _dozen.spawn(["/sbin/apid", "describe"], stdout=writer, env=["PYTHONINSPECT=1"])
    os.close(writer)
    with open(reader, "rb") as stream:
        said = stream.read()
    assert os.waitid(os.P_PIDFD, pidfd, os.WEXITED).si_pid == pid
    assert b'"inspect": 0' in said, said
    try:
        _dozen.spawn(["/sbin/none"])
    except FileNotFoundError as error:
        assert error.filename == "/sbin/none"
    try:
        _dozen.mount("none", "/nowhere", "tmpfs")
    except FileNotFoundError as error:
        assert error.filename == "/nowhere"
    _dozen.mount("tmpfs", "/tmp", "tmpfs", 2, "size=1m")
    assert os.statvfs("/tmp").f_flag & os.ST_NOSUID
    _dozen.umount("/tmp")
    _dozen.sethostname("sealed")
    assert os.uname().nodename == "sealed"
    assert _dozen.adjtimex()["tick"] > 0
    _dozen.set_process_name("tested")
    with open("/proc/self/comm") as stream:
        assert stream.read() == "tested\n"
    print("fine")
    return 0


def show_places(_argv):
    import asyncio

    print(__file__)
    print(asyncio.__file__, asyncio.__path__)
    try:
        import asyncio.nothing
    except ImportError as error:
        print(type(error).__name__)
    return 0


def import_after_remount(argv):
    import _dozen

    # MS_REMOUNT | MS_BIND, without MS_RDONLY
    _dozen.mount(None, "/", None, 32 | 4096)
    return attempt(lambda: __import__(argv[0]))


def exit_with(argv):
    return int(argv[0])


def main(name, argv):
    if not argv:
        raise LookupError(f"{name} was not told what to do")
    if argv[0] == "attack":
        return attempt(globals()[argv[1]])
    if argv[0] == "name":
        print(name)
        return 0
    return globals()[argv[0]](argv[1:])
