"""`--help` and the page of options say of every option what it is, what it must be, and its default."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfl.config.listing import list_options, options_page

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = [
    "audit_data.py",
    "convert_data.py",
    "extract_features.py",
    "measure_value.py",
    "pretrain.py",
    "preview_data.py",
    "rank_backbones.py",
    "search.py",
    "train.py",
]
COMMANDS = {path.stem for path in (ROOT / "tfl" / "commands").glob("*.py") if "recipes.define(" in path.read_text()}


def test_these_scripts_call_the_commands_with_a_config():
    assert {"audit", "convert", "features", "pretrain", "preview", "rank", "search", "train", "value"} == COMMANDS


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("flag", ["--help", "--helpfull"])
def test_help_lists_every_option_with_default_rule_and_help(run_cold, script, flag):
    result = run_cold(f"scripts/{script}", flag)
    assert result.returncode == 0
    assert result.stderr == ""
    text = re.sub(r"-\n\s*", "-", result.stdout)  # absl divides words at their hyphens
    said = " ".join(text.split())
    for option in list_options():
        line = f"--config.{option.path}: {option.help} (default: {option.default!r}; {option.rule.describe()})"
        assert line in said
    assert all(len(line) <= 80 for line in result.stdout.splitlines() if line.startswith("  --config."))


def test_help_imports_no_tensorflow(tmp_path):
    code = "import sys, runpy; sys.argv = ['train.py', '--help']\n"
    code += "try: runpy.run_path('scripts/train.py', run_name='__main__')\n"
    code += "except SystemExit: pass\n"
    code += "print([name for name in sys.modules if name.split('.')[0] in ('tensorflow', 'keras', 'sklearn')])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--config.seed" in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


def test_a_script_without_a_config_lists_no_options(run_cold):
    result = run_cold("scripts/list_backbones.py", "--help")
    assert result.returncode == 0
    assert "--config" not in result.stdout


@pytest.mark.parametrize("buffered", ["", "1"])
def test_help_ends_quietly_where_its_reader_has_seen_enough(buffered):
    command = f"{sys.executable} scripts/train.py --help | head -n 1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "Train: from a config to a trained, evaluated, saved classifier.\n"
    assert result.stderr == ""


def test_the_page_lists_every_option():
    for option in list_options():
        assert f"\n| `{option.path}` | `{option.default!r}` | " in options_page()
