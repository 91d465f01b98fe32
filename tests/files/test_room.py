"""A room without `fcntl`, on a system that does not delete open files: shelves in use stay, unused ones go."""

from pathlib import Path

import pytest

from tfl.files import locks
from tfl.files.room import LOCK, StoreRoom

NAMES = [f"{letter}-8-float32" for letter in "abc"]


@pytest.fixture
def windows(monkeypatch):
    """Refuse to delete a file that this process has open, and take `fcntl` away."""
    delete = Path.unlink

    def unlink(path, missing_ok=False):
        held = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
        if str(path) in held:
            raise PermissionError(13, "The process cannot access the file because it is being used", str(path))
        delete(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    monkeypatch.setattr(locks, "fcntl", None)


@pytest.mark.usefixtures("windows")
def test_only_unused_shelves_are_deleted_with_their_locks(tmp_path):
    room = StoreRoom(tmp_path, max_bytes=250)
    uses = {}
    for name in NAMES:
        uses[name] = room.use(tmp_path / name)
        (tmp_path / name / f"{0:064x}.npy").write_bytes(bytes(100))
    uses["b-8-float32"].release()
    room.trim()
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "a-8-float32", "c-8-float32"]
    room.max_bytes = 0
    room.trim()
    assert room.used_bytes() == 200  # in use
    uses["a-8-float32"].release()
    room.trim()
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, "c-8-float32"]
    with pytest.raises(PermissionError):
        (tmp_path / "c-8-float32" / LOCK).unlink()  # so the fixture does refuse
