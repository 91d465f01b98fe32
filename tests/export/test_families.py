"""Every family of networks is certified in every format; random weights, but logits that tell images apart."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("family_program.py")


@pytest.mark.slow
def test_the_certificate_passes(family, tmp_path):
    result = subprocess.run([sys.executable, PROGRAM, family, tmp_path], capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr[-3000:]
