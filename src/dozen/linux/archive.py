"""A file tree as a gzipped tar archive, made piece by piece: no temporary file, no more in memory than one chunk.

`tarfile` only makes the headers here; its writer wants whole files at a time. A file is packed with the size that it
had when its header was written: what grew meanwhile is cut, what shrank is filled up with zeros. Files of /proc and
/sys say that they are empty and are not, so an empty file is read first, up to a limit.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from itertools import chain

from dozen.linux.files import READ_BYTES, Entry, describe, read_file, read_link, walk

_RECORD = 512
# gzip's header around a deflate stream (zlib's manual, deflateInit2).
_GZIP = 16 + zlib.MAX_WBITS
# Fast: the receiver waits for the node's processor.
_LEVEL = 3
# What a file that claims to be empty may hold; the largest useful ones, such as /proc/kallsyms, are about as long.
_UNSIZED_BYTES = 16 * 1024 * 1024
# What went away since it was seen; a control group's file says ENODEV then.
_GONE = (errno.ENOENT, errno.ENODEV)


class Archiver:
    """Makes one archive; afterwards `errors` says what could not be packed, one line for each file."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.errors: list[str] = []

    def chunks(self) -> Iterator[bytes]:
        """The archive. Raises OSError when there is no such root."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        for data in self._blocks():
            chunk = compressor.compress(data)
            if chunk:
                yield chunk
        yield compressor.flush()

    def _blocks(self) -> Iterator[bytes]:
        for entry in walk(self._root):
            if entry.error:
                self.errors.append(entry.error)
            else:
                yield from self._pack(entry)
        # An archive ends with two records of zeros.
        yield bytes(2 * _RECORD)

    def _pack(self, entry: Entry) -> Iterator[bytes]:
        info = entry.info
        assert info is not None  # An entry without one has an error.
        if not stat.S_ISREG(info.st_mode):
            yield from self._header(entry, info, 0)
            return
        if not info.st_size and not info.st_mode & 0o444:
            # The kernel's files that only take commands (cgroup.kill): root may open them, and nothing is in them.
            yield from self._header(entry, info, 0)
            return
        try:
            content = read_file(entry.path)
            first = next(content, b"")
        except OSError as error:
            if error.errno not in _GONE:
                self._complain(entry, error)
            return
        size = info.st_size
        if not size and first:
            first += b"".join(_take(content, _UNSIZED_BYTES - len(first)))
            size = len(first)
        yield from self._header(entry, info, size)
        yield from self._fill(entry, chain((first,), content), size)

    def _header(self, entry: Entry, info: os.stat_result, size: int) -> Iterator[bytes]:
        import tarfile

        kinds = {
            stat.S_IFREG: tarfile.REGTYPE,
            stat.S_IFDIR: tarfile.DIRTYPE,
            stat.S_IFLNK: tarfile.SYMTYPE,
            stat.S_IFIFO: tarfile.FIFOTYPE,
            stat.S_IFCHR: tarfile.CHRTYPE,
            stat.S_IFBLK: tarfile.BLKTYPE,
        }
        kind = kinds.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return  # A socket: it means something only to the process that made it.
        alone = entry.depth == 0 and kind != tarfile.DIRTYPE
        header = tarfile.TarInfo(os.path.basename(entry.path) if alone else entry.relative)
        header.type = kind
        header.mode = stat.S_IMODE(info.st_mode)
        header.uid, header.gid = info.st_uid, info.st_gid
        header.mtime = int(info.st_mtime)
        header.size = size
        if kind == tarfile.SYMTYPE:
            header.linkname = read_link(entry.path)
        if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            header.devmajor, header.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
        yield header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _fill(self, entry: Entry, content: Iterator[bytes], size: int) -> Iterator[bytes]:
        """Exactly ``size`` bytes, and zeros up to a whole record."""
        written = 0
        try:
            for chunk in _take(content, size):
                written += len(chunk)
                yield chunk
        except OSError as error:
            self._complain(entry, error)
        missing = size - written + -size % _RECORD
        while missing > 0:
            zeros = min(missing, READ_BYTES)
            yield bytes(zeros)
            missing -= zeros

    def _complain(self, entry: Entry, error: OSError) -> None:
        self.errors.append(describe(error) if error.filename else f"{entry.path}: {describe(error)}")


def _take(content: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The first ``size`` bytes of what comes in chunks."""
    while size > 0:
        chunk = next(content, b"")[:size]
        if not chunk:
            return
        size -= len(chunk)
        yield chunk
