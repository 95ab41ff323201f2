"""Kernel modules: which files are loaded, in which order, and what the kernel's refusals mean."""

import errno
import gzip
import lzma
import os
from pathlib import Path

import pytest

from dozen.linux import modules
from dozen.linux.modules import LoadedModule, LoadError, ModuleIndex, UnknownModule

DEP = """\
kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz
kernel/lib/libcrc32c.ko.xz:
kernel/net/bridge/br_netfilter.ko: kernel/net/bridge/bridge.ko kernel/net/802/stp.ko kernel/net/llc/llc.ko
kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko
kernel/net/802/stp.ko: kernel/net/llc/llc.ko
kernel/net/llc/llc.ko:
kernel/drivers/net/virtio-net.ko.gz:
kernel/drivers/new.ko.zst:
"""
ALIASES = """\
# Aliases extracted from modules themselves.
alias fs-xfs xfs
alias virtio:d00000001v* virtio_net
"""


@pytest.fixture
def index(tmp_path: Path) -> ModuleIndex:
    (tmp_path / "modules.dep").write_text(DEP)
    (tmp_path / "modules.alias").write_text(ALIASES)
    (tmp_path / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\nkernel/drivers/pci/virtio-pci.ko\n")
    for line in DEP.splitlines():
        path = tmp_path / line.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.name.encode()
        path.write_bytes({".xz": lzma.compress, ".gz": gzip.compress}.get(path.suffix, bytes)(content))
    return ModuleIndex(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("xfs", ["libcrc32c.ko.xz", "xfs.ko.xz"]),
        ("br-netfilter", ["llc.ko", "stp.ko", "bridge.ko", "br_netfilter.ko"]),
        ("virtio_net", ["virtio-net.ko.gz"]),
        ("fs-xfs", ["libcrc32c.ko.xz", "xfs.ko.xz"]),
        ("virtio:d00000001v00001AF4", ["virtio-net.ko.gz"]),
        ("ext4", []),
        ("virtio-pci", []),
    ],
)
def test_dependencies_come_first(index: ModuleIndex, name: str, files: list[str]) -> None:
    assert [os.path.basename(file) for file in index.load_order(name)] == files


def test_an_unknown_module_is_named(index: ModuleIndex) -> None:
    with pytest.raises(UnknownModule, match="nosuch"):
        index.load_order("nosuch")
    with pytest.raises(UnknownModule):
        ModuleIndex("/nonexistent").load_order("xfs")


class Kernel:
    """Takes modules, or refuses them: ``refusals`` are errors by flags."""

    def __init__(self, **refusals: int) -> None:
        self.refusals = refusals
        self.got: list[tuple[bytes, str, int]] = []

    def insert(self, descriptor: int, parameters: str, flags: int) -> None:
        with open(os.dup(descriptor), "rb") as file:
            file.seek(0)
            content = file.read()
        self.got.append((content, parameters, flags))
        number = self.refusals.get("packed" if flags else "plain", 0)
        if number:
            raise OSError(number, os.strerror(number))


def test_parameters_are_for_the_module_itself(index: ModuleIndex) -> None:
    kernel = Kernel()
    modules.load("stp", ("a=1", "b=2"), index=index, insert=kernel.insert)
    assert kernel.got == [(b"llc.ko", "", 0), (b"stp.ko", "a=1 b=2", 0)]


def test_the_kernel_unpacks(index: ModuleIndex) -> None:
    kernel = Kernel()
    modules.load("libcrc32c", index=index, insert=kernel.insert)
    ((content, _, flags),) = kernel.got
    assert flags == modules.MODULE_INIT_COMPRESSED_FILE
    assert lzma.decompress(content) == b"libcrc32c.ko.xz"


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
@pytest.mark.parametrize(("name", "content"), [("libcrc32c", b"libcrc32c.ko.xz"), ("virtio_net", b"virtio-net.ko.gz")])
def test_we_unpack_for_a_kernel_that_does_not(index: ModuleIndex, number: int, name: str, content: bytes) -> None:
    kernel = Kernel(packed=number)
    modules.load(name, ("p=1",), index=index, insert=kernel.insert)
    assert kernel.got[1] == (content, "p=1", 0)


def test_one_that_is_there_already_is_fine(index: ModuleIndex) -> None:
    modules.load("stp", index=index, insert=Kernel(plain=errno.EEXIST).insert)
    modules.load("xfs", index=index, insert=Kernel(packed=errno.EINVAL, plain=errno.EEXIST).insert)


def test_a_refusal_names_the_file(index: ModuleIndex) -> None:
    with pytest.raises(LoadError) as caught:
        modules.load("stp", index=index, insert=Kernel(plain=errno.EKEYREJECTED).insert)
    assert caught.value.errno == errno.EKEYREJECTED
    assert str(caught.value.filename).endswith("llc.ko")


def test_what_nobody_can_unpack_is_refused(index: ModuleIndex) -> None:
    with pytest.raises(LoadError):
        modules.load("new", index=index, insert=Kernel(packed=errno.EOPNOTSUPP).insert)


def test_a_damaged_file_is_refused(index: ModuleIndex) -> None:
    Path(index.directory, "kernel/lib/libcrc32c.ko.xz").write_bytes(b"not xz")
    with pytest.raises(LoadError):
        modules.load("libcrc32c", index=index, insert=Kernel(packed=errno.EINVAL).insert)


def test_the_kernels_list() -> None:
    text = (
        "xfs 2093056 1 - Live 0xffffffffc0a00000\n"
        "libcrc32c 16384 2 xfs,nf_conntrack, Live 0xffffffffc0500000\n"
        "broken line\n"
        "sealed 4096 - - Loading 0x0000000000000000 (OE)\n"
    )
    assert modules.parse_loaded(text) == [
        LoadedModule("xfs", 2093056, 1, (), "Live", "0xffffffffc0a00000"),
        LoadedModule("libcrc32c", 16384, 2, ("xfs", "nf_conntrack"), "Live", "0xffffffffc0500000"),
        LoadedModule("sealed", 4096, 0, (), "Loading", "0x0000000000000000"),
    ]
    assert modules.list_loaded("/nonexistent") == []
