"""Tries to make the interpreter of /sbin/init run code that is not the image's, from outside and from within."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from dozen.compose import toolroot
from native.privileges import needs_root
from native.sealed_tree import HERE, SealedTree, build_tree

pytestmark = needs_root

# Each attack of `seal/main.py`, and the seal's very words: another failure would be no refusal.
OUTSIDE, NO_LIBRARY = "is outside of the read-only image", "is not a library of the read-only image"
NO_TEXT = "RuntimeError: sealed: text is not turned into code here"
ATTACKS = {
    "change_search_path": "ImportError: sealed: sys.path was changed",
    "change_working_directory": "ImportError: sealed: sys.path was changed",
    "load_source": f"ImportError: sealed: /var/__pycache__/evil.cpython-313.opt-2.pyc {OUTSIDE}",
    "load_bytecode": f"ImportError: sealed: /var/evil.pyc {OUTSIDE}",
    "load_extension": f"ImportError: sealed: /var/probe.so {OUTSIDE}",
    "open_library_directly": f"OSError: sealed: /var/probe.so {NO_LIBRARY}",
    "open_library_through_a_link": f"OSError: sealed: /usr/lib/x86_64-linux-gnu/../../../var/probe.so {NO_LIBRARY}",
    "open_library_through_a_descriptor": f"OSError: sealed: /proc/self/fd/3 {NO_LIBRARY}",
    "unmarshal": "RuntimeError: sealed: bytecode that does not come from the image",
    "unmarshal_stream": "RuntimeError: sealed: no bytecode from streams",
    "execute_text": NO_TEXT,
    "evaluate_text": NO_TEXT,
    "compile_text": NO_TEXT,
    "make_code": "RuntimeError: sealed: no hand-made code objects",
    "use_ctypes": "RuntimeError: sealed: no ctypes",
    "unpickle": "RuntimeError: sealed: no unpickling of classes",
    "run_path": f"ImportError: sealed: /var/evil.py {OUTSIDE}",
    "import_from_zip": f"ImportError: sealed: /var/evil.zip {OUTSIDE}",
    "prompt": NO_TEXT,
    # The interpreter keeps the seal's words about the code object to itself.
    "abuse_frozen_modules": "ImportError: Frozen object named 'evil' is invalid",
    # Not the seal's doing but what it stands on.
    "write_into_the_image": "OSError: [Errno 30] Read-only file system: '/usr/lib/dozen/evil.py'",
}

ARGUMENTS = (
    ["-c", "print('came in')"],
    ["-m", "evil"],
    ["-i"],
    ["-"],
    ["/var/evil.py"],
    ["-X", "importtime", "--help"],
)

VARIABLES = (
    {"PYTHONPATH": "/var"},
    {"PYTHONHOME": "/var"},
    {"PYTHONSTARTUP": "/var/evil.py", "PYTHONINSPECT": "1"},
    {"PYTHONUSERBASE": "/var", "HOME": "/var"},
    {"PYTHONPLATLIBDIR": "/var", "PYTHONEXECUTABLE": "/var/python"},
    {"OPENSSL_CONF": "/var/openssl.cnf", "OPENSSL_MODULES": "/var"},
)

# Has an ordinary interpreter carry out an attack.
FALL = """
import sys
sys.path[:0] = ["/tmp/seal", "/tmp/lib"]
import main
main.VAR, main.PROC = "/tmp/var", "/tmp/proc"
getattr(main, sys.argv[1])()
"""

# /usr/lib becomes a file system that has all that a start needs, but in which our directory is a link to /var.
REPLACE_BY_LINK = """
cp -a "$root/usr/lib/x86_64-linux-gnu" "$root/dev/keep"
mount -t tmpfs -o mode=0755 tmpfs "$root/usr/lib"
mv "$root/dev/keep" "$root/usr/lib/x86_64-linux-gnu"
mkdir -p "$root/usr/lib/python3.13/lib-dynload"
ln -s /var "$root/usr/lib/dozen"
mount -o remount,ro "$root/usr/lib"
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> SealedTree:
    return build_tree(tmp_path_factory.mktemp("seal"))


def describe(tree: SealedTree, *argv: str, **options: object) -> dict[str, object]:
    done = tree.run(["/sbin/apid", "describe", *argv], **options)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
    assert b"came in" not in done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(("attack", "reason"), ATTACKS.items(), ids=list(ATTACKS))
def test_code_from_a_writable_place_is_refused(tree: SealedTree, attack: str, reason: str) -> None:
    done = tree.run(["/sbin/apid", "attack", attack])
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.decode() == f"refused: {reason}\n"
    assert b"came in" not in done.stderr


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack != "write_into_the_image"])
def test_an_ordinary_interpreter_falls_for_it(tree: SealedTree, attack: str) -> None:
    """So that a refusal above means something."""
    binds = {
        tree.var: "/tmp/var",
        HERE: "/tmp/seal",
        tree.root / "usr/lib/dozen": "/tmp/lib",
        Path("/proc"): "/tmp/proc",
    }
    said = toolroot.ensure().run(["python3.13", "-c", FALL, attack], binds)
    assert said == b"came in\n"


@pytest.mark.parametrize("words", ARGUMENTS, ids=lambda words: words[0])
def test_arguments_reach_the_program_and_never_the_interpreter(tree: SealedTree, words: list[str]) -> None:
    about = describe(tree, *words)
    assert about["argv"] == words
    assert about["path"] == ["/usr/lib/dozen", "/usr/lib/python3.13", "/usr/lib/python3.13/lib-dynload"]
    assert about["flags"] == {"isolated": 1, "no_site": 1, "safe_path": True, "utf8_mode": 1, "inspect": 0}


def test_a_script_on_standard_input_is_not_read(tree: SealedTree) -> None:
    done = tree.run(["/sbin/apid", "describe"], stdin=b"print('came in')\n")
    assert done.returncode == 0
    assert b"came in" not in done.stdout


@pytest.mark.parametrize("variables", VARIABLES, ids=lambda variables: min(variables))
def test_variables_change_nothing(tree: SealedTree, variables: dict[str, str]) -> None:
    plain, tried = describe(tree), describe(tree, environment=variables)
    assert tried == plain
    assert tried["environment"] == {"PATH": "/bin:/sbin", "TERM": "linux"}
    assert not {"site", "sitecustomize", "usercustomize"} & set(tried["modules"])  # type: ignore[call-overload]


@pytest.mark.parametrize("variable", ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES"])
def test_a_start_with_a_steered_linker_is_refused(tree: SealedTree, variable: str) -> None:
    done = tree.run(["/sbin/apid", "describe"], environment={variable: "/nothing"})
    assert done.returncode == 1
    assert b"refused: started with variables that steer the dynamic linker" in done.stderr


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ('mount -o remount,bind,rw "$root"', "/, where code is loaded from, is refused: not mounted read-only"),
        (
            'mount -t tmpfs -o mode=0755 tmpfs "$root/usr/lib/dozen"',
            "/usr/lib/dozen, where code is loaded from, is refused: not mounted read-only",
        ),
        (
            'mount -t tmpfs -o mode=0777 tmpfs "$root/usr/lib/python3.13"',
            "/usr/lib/python3.13, where code is loaded from, is refused: writable by others than root",
        ),
        (
            'mount -t tmpfs -o mode=0755,uid=1000 tmpfs "$root/usr/lib/python3.13/lib-dynload"',
            "/usr/lib/python3.13/lib-dynload, where code is loaded from, is refused: not owned by root",
        ),
        (REPLACE_BY_LINK, "/usr/lib/dozen, where code is loaded from, is refused: not a real directory"),
    ],
    ids=["root", "ours", "stdlib", "extensions", "link"],
)
def test_a_writable_or_replaced_search_path_is_refused(tree: SealedTree, before: str, reason: str) -> None:
    done = tree.run(["/sbin/apid", "describe"], before=before)
    assert done.returncode == 1, done.stdout
    assert reason in done.stderr.decode()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("late", b"/usr/lib/dozen/late.pyc is not a file of root's"),
        ("later", b"/usr/lib/dozen/dozen.bundle is no longer on a read-only mount"),
    ],
)
def test_a_module_swapped_while_it_runs_is_refused(tree: SealedTree, module: str, reason: bytes) -> None:
    """The read-only check is made for each module when it is read, not only at the start."""
    done = tree.run(["/sbin/apid", "import_after_remount", module], namespaces=("--uts",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(b"refused: ImportError: sealed: " + reason)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"DOZENPY1", "cannot be read"),
        (b"came from elsewhere, and is long enough", "is no bundle"),
        (struct.pack("<8sII", b"DOZENPY1", 2**31, 20) + bytes(4), "is damaged"),
        (struct.pack("<8sIIIIII", b"DOZENPY1", 1, 34, 32, 0, 2**32 - 1, 9) + b"a\0", "is damaged"),
        (struct.pack("<8sIIIIII", b"DOZENPY1", 1, 34, 99, 0, 32, 1) + b"a\0", "is damaged"),
    ],
)
def test_a_damaged_bundle_is_refused(tree: SealedTree, content: bytes, reason: str) -> None:
    (tree.var / "bad.bundle").write_bytes(content)
    before = 'touch_point="$root/usr/lib/dozen/dozen.bundle"; mount --bind "$var/bad.bundle" "$touch_point"'
    done = tree.run(["/sbin/apid", "describe"], before=f'{before}; mount -o remount,bind,ro "$touch_point"')
    assert done.returncode == 1, done.stdout
    assert f"/usr/lib/dozen/dozen.bundle {reason}" in done.stderr.decode()


def test_a_bundle_from_a_writable_place_is_refused(tree: SealedTree) -> None:
    before = 'cd "$root/usr/lib/dozen"; cp dozen.bundle "$var/"; mount --bind "$var/dozen.bundle" dozen.bundle'
    done = tree.run(["/sbin/apid", "describe"], before=before)
    assert done.returncode == 1, done.stdout
    assert "dozen.bundle is not a file of root's on a read-only mount" in done.stderr.decode()


def test_modules_of_a_bundle_know_where_they_would_lie(tree: SealedTree) -> None:
    done = tree.run(["/sbin/apid", "show_places"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines() == [
        "/usr/lib/dozen/dozen/node/main.pyc",
        "/usr/lib/python3.13/asyncio/__init__.pyc ['/usr/lib/python3.13/asyncio']",
        "ModuleNotFoundError",
    ]


def test_the_language_still_works(tree: SealedTree) -> None:
    done = tree.run(["/sbin/apid", "use_language"])
    assert done.returncode == 0, done.stderr
    assert b"point(x=1, y=2)" in done.stdout
    assert b"[1, 2]" in done.stdout


def test_the_built_in_system_calls_work_and_fail_with_the_file_named(tree: SealedTree) -> None:
    done = tree.run(["/sbin/apid", "use_system_calls"])
    assert (done.returncode, done.stdout) == (0, b"fine\n"), done.stderr
