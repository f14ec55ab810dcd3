"""Files that are there whole or not at all: written beside their place, brought to the disk, then renamed into it.

Whatever stops the writing (a full disk, Ctrl-C, a power cut) leaves the old file or the new one, never half of one.
What is no file, a device or a pipe, is written to.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

LONGEST = 1 << 24
"""Octets of the longest file that is read: a topology of 10,000 nodes has a tenth of it."""
LONGEST_OF_OURS = 1 << 30
"""The same of what netsim wrote itself: the result of a long run, the journal of many."""
UNFINISHED = ".netsim-unfinished"
"""The folder, inside a run's, where its files grow; one that a killed run left is cleared by the next."""
_LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What file systems without locks answer (some of networks): there two runs at once are the person's to avoid."""


class Unreadable(ValueError):  # noqa: N818  # it says what the file is, as OSError's kinds do
    """A file that is not one to read; says what it is."""


def read_bytes(path: Path, longest: int = LONGEST) -> bytes:
    """Read a whole file that a stranger may have made. Raises OSError, and Unreadable for what is no plain file.

    A pipe or a device would be waited for, or never end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("is a device or a pipe, not a file")
        if status.st_size > longest:
            raise Unreadable(f"is {status.st_size:,} octets long, and no file of netsim has more than {longest:,}")
        return file.read(status.st_size or LONGEST)  # files of /proc have no size


def expect_writable(path: Path) -> None:
    """Raise OSError where a file could not be written now: to be told before the work that is to be written there."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    parent = path.parent
    if not parent.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not os.access(path if path.exists() else parent, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step, whatever links lead to it, with the mode that it has. Raises OSError.

    A device or a pipe is written to as it is: renamed over, it would be a file from then on, for everybody.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        status = None
    if status is not None and not stat.S_ISREG(status.st_mode):
        with path.open("wb") as file:
            file.write(data)
        return
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            if status is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8 in one step, as `write_bytes` does. Raises OSError."""
    write_bytes(path, text.encode())


class Staging:
    """A folder's files while they grow: write below `path`, then `commit`, or `discard` and the old ones stay.

    Of several runs that want the same folder the first has it; the kernel lets go of it when that one ends, however.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder and an empty staging place in it. Raises OSError; BlockingIOError where another writes."""
        self.folder = folder
        self.path = folder / UNFINISHED
        self._made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
        self._clear()

    def _locked(self) -> int:
        """Return a descriptor of the staging place that holds its lock."""
        while True:
            self.path.mkdir(exist_ok=True)
            lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(lock)
                raise BlockingIOError(error.errno, "another run is writing there") from error
            except OSError as error:
                if error.errno not in _LOCKLESS:
                    os.close(lock)
                    raise
            if os.fstat(lock).st_nlink:
                return lock
            os.close(lock)  # whoever had it was just through, and took the place away

    def _clear(self) -> None:
        for each in self.path.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()

    def commit(self, last: str, stale: Iterable[str] = ()) -> None:
        """Bring every file to the disk and into the folder; `last` is the one that says that the others are there.

        `stale` names files of an earlier run: those that this one did not write are taken away.
        """
        names = sorted((each.name for each in self.path.iterdir()), key=lambda name: (name == last, name))
        for name in names:
            with (self.path / name).open("rb") as file:
                os.fsync(file.fileno())
        for name in set(stale) - set(names):
            (self.folder / name).unlink(missing_ok=True)
        for name in names:
            os.replace(self.path / name, self.folder / name)
        self.path.rmdir()
        os.close(self._lock)

    def discard(self) -> None:
        """Take away what was written so far, and the folder if it was made for it."""
        if self.path.is_dir():
            self._clear()
            self.path.rmdir()
        os.close(self._lock)
        if self._made and self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
