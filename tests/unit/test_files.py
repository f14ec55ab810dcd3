"""Files are written whole, into the place that was meant: through links, into pipes, with the mode they have."""

from __future__ import annotations

import errno
import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from netsim.files import LONGEST_OF_OURS, UNFINISHED, Staging, expect_writable, read_bytes, write_bytes, write_text


def test_a_new_file_is_there_and_nothing_beside_it(tmp_path):
    write_text(tmp_path / "a", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "text"


def test_a_pipe_stays_a_pipe_and_gets_the_text(tmp_path):
    """So does a device: `--junit /dev/null` as root must not put a file in its place for the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_what_a_descriptor_is_is_written_to(tmp_path):
    """`--junit /dev/stdout` in a pipeline: the link leads to a pipe that has no name."""
    reader, writer = os.pipe()
    try:
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{writer}")
        write_bytes(tmp_path / "link", b"text")
        assert os.read(reader, 10) == b"text"
    finally:
        os.close(reader)
        os.close(writer)


def test_a_link_stays_and_the_file_behind_it_is_new(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "real").write_text("old")
    (tmp_path / "link").symlink_to("far/real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "real").read_text() == "new"


def test_a_link_to_what_is_not_there_yet_makes_it(tmp_path):
    (tmp_path / "link").symlink_to("later")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "later").read_text() == "new"


def test_a_file_keeps_its_mode(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    write_text(tmp_path / "a", "new")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "kind"), [(".", IsADirectoryError), ("loop", OSError), ("a/b", NotADirectoryError)]
)  # fmt: skip
def test_what_cannot_be_written_is_an_oserror_in_words(tmp_path, name, kind):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a").write_text("old")
    with pytest.raises(kind) as caught:
        write_text(tmp_path / name, "new")
    assert caught.value.strerror
    assert (tmp_path / "a").read_text() == "old"


def test_what_could_not_be_written_is_told_before_it_is(tmp_path, monkeypatch):
    expect_writable(tmp_path / "new")
    for place, kind in ((tmp_path, IsADirectoryError), (tmp_path / "no" / "new", FileNotFoundError)):
        with pytest.raises(kind):
            expect_writable(place)
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    (tmp_path / "old").write_text("")
    expect_writable(tmp_path / "old")
    with pytest.raises(PermissionError):
        expect_writable(tmp_path / "new")


@pytest.mark.parametrize("longest", [10, LONGEST_OF_OURS])
def test_a_file_takes_the_memory_that_it_has(tmp_path, longest):
    (tmp_path / "a").write_text("text")
    tracemalloc.start()
    try:
        assert read_bytes(tmp_path / "a", longest) == b"text"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_file_of_proc_that_says_no_size_is_read():
    assert read_bytes(Path("/proc/self/stat")).startswith(str(os.getpid()).encode())


def there(folder):
    return sorted(path.name for path in folder.iterdir())


def test_of_two_that_want_a_folder_the_second_is_told_and_takes_nothing_from_the_first(tmp_path):
    first = Staging(tmp_path / "out")
    (first.path / "a").write_text("first")
    with pytest.raises(BlockingIOError, match="another run is writing there"):
        Staging(tmp_path / "out")
    first.commit(last="a")
    assert there(tmp_path / "out") == ["a"]
    second = Staging(tmp_path / "out")
    second.discard()
    assert there(tmp_path / "out") == ["a"]


def test_a_staging_place_that_the_one_before_takes_away_at_that_instant_is_made_anew(tmp_path, monkeypatch):
    taken = []

    def flock(lock, how):
        if not taken:
            (tmp_path / UNFINISHED).rmdir()
        taken.append(lock)

    monkeypatch.setattr("fcntl.flock", flock)
    staging = Staging(tmp_path)
    (staging.path / "a").write_text("whole")
    staging.commit(last="a")
    assert (len(taken), there(tmp_path)) == (2, ["a"])


@pytest.mark.parametrize(("code", "taken"), [(errno.ENOLCK, True), (errno.ENOSYS, True), (errno.EIO, False)])
def test_a_file_system_without_locks_is_written_to_all_the_same(tmp_path, monkeypatch, code, taken):
    def flock(lock, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    if taken:
        Staging(tmp_path / "out").discard()
        assert there(tmp_path) == []
    else:
        with pytest.raises(OSError, match="Input/output error"):
            Staging(tmp_path / "out")


def test_what_a_killed_run_left_is_cleared_and_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("mine")
    (tmp_path / "out" / UNFINISHED / "deep").mkdir(parents=True)
    (tmp_path / "out" / UNFINISHED / "deep" / "a").write_text("old")
    (tmp_path / "out" / UNFINISHED / "link").symlink_to(tmp_path / "mine")
    staging = Staging(tmp_path / "out")
    assert there(staging.path) == []
    staging.discard()
    (tmp_path / "out" / UNFINISHED).symlink_to(tmp_path / "mine")
    with pytest.raises(NotADirectoryError):
        Staging(tmp_path / "out")
    assert there(tmp_path / "mine") == ["a"]


def test_a_commit_takes_away_what_an_earlier_one_left_and_nothing_else(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("old")
    staging = Staging(tmp_path)
    (staging.path / "a").write_text("new")
    staging.commit(last="a", stale=("a", "b", "never"))
    assert there(tmp_path) == ["a", "c"]
    assert (tmp_path / "a").read_text() == "new"


def test_a_folder_made_for_nothing_goes_again(tmp_path):
    Staging(tmp_path / "out").discard()
    assert there(tmp_path) == []
