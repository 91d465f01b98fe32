"""What Windows refuses to sync: folders, and files that were opened for reading."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from tfl.files import writing
from tfl.files.writing import write_atomically, write_folder_atomically


@pytest.fixture
def synced(monkeypatch):
    """Let the file system be like that of Windows; the names of what was synced."""
    real_open, real_sync, names = os.open, os.fsync, []

    def open_file(path, *rest):
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_open(path, *rest)

    def sync(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_sync(descriptor)

    monkeypatch.setattr(writing, "_IS_POSIX", False)
    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", sync)
    return names


def test_a_file_is_synced_without_its_folder(tmp_path, synced):
    write_atomically(tmp_path / "new" / "a.json", lambda path: path.write_bytes(b"{}"))
    assert (tmp_path / "new" / "a.json").read_bytes() == b"{}"
    assert synced == ["a.json"]


def test_the_files_of_a_folder_are_synced(tmp_path, synced):
    def fill(folder):
        for name in ("a", "b"):
            (folder / name).write_bytes(b"x")

    write_folder_atomically(tmp_path / "folder", fill)
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == sorted(synced) == ["a", "b"]
