"""Every family of networks is certified in every format; random weights, but logits that tell images apart."""

import fcntl
import tempfile
from pathlib import Path

import pytest
import warm

PROGRAM = Path(__file__).with_name("family_program.py")


@pytest.fixture
def alone():
    """Hold back other processes of this test run: converting a network of 200 MB takes gigabytes for a moment."""
    with (Path(tempfile.gettempdir()) / "tfl_test_families.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.slow
def test_the_certificate_passes(alone, family, tmp_path):
    result = warm.run([PROGRAM, family, tmp_path])
    assert result.returncode == 0, result.stderr[-3000:]
