"""The scripts for completion, asked in the shells themselves."""

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
import warm
from doc_blocks import blocks_of
from test_mistakes import ROOT, path_of_hook

from tfl.backbones.catalog import list_backbones
from tfl.commands import COMMANDS
from tfl.config.listing import list_options
from tfl.recipes import recipes

SHELLS = ("bash", "zsh", "fish")

ASKED = {  # what stands before the cursor, and some of the words with which the last one is completed
    "tfl ": set(COMMANDS),
    "tfl tr": {"train"},
    "tfl train --back": {"--backbone="},
    "tfl train --backbone=ResNet": {"ResNet50", "ResNet101", "ResNet152V2"},
    "tfl train --backbone ResNet": {"ResNet50", "ResNet101", "ResNet152V2"},
    "tfl train --config.head.p": {"--config.head.pooling="},
    "tfl train --config.head.pooling=": {"avg", "max", "gem"},
    "tfl train --config.deterministic=": {"true", "false"},
    "tfl train --recipe=": set(recipes()),
    "tfl train --recipe=mi": {"mine.py"},
    "tfl train --config.features.store=ca": {"cache"},
    "tfl train photos --preci": {"--precision="},
    "tfl train ph": {"photos"},
    "tfl train dig": {"digits"},
    "tfl evaluate runs/a": {"runs/ants", "runs/apes"},
    "tfl evaluate --workdir=runs/a": {"runs/ants", "runs/apes"},
    "tfl export runs/ants --quantize=": {"none", "dynamic", "float16", "int8"},
    "tfl predict runs/ants --out": {"--output="},
    "tfl backbones Mobile": set(list_backbones("mobile*")),
    "tfl options finetune.l": {option.path for option in list_options() if option.path.startswith("finetune.l")},
    "tfl completion ": set(SHELLS),
    "tfl launch --workers=2 -- tr": {"train"},
    "tfl launch --workers=2 train --precision=": {"float32", "mixed_bfloat16", "mixed_float16"},
    "tfl serve runs/ants --quie": {"--quiet"},
}
BASH = """
source tfl.bash
while IFS= read -r line; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=($line) COMP_CWORD=${#COMP_WORDS[@]}
    _tfl
    echo "$line|${COMPREPLY[*]}"
done
"""
FISH = """
source tfl.fish
while read -l line
    echo "$line|"(complete -C "$line" | string replace -r '\\t.*' '' | string join ' ')
end
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A folder with the script of each shell, and with files whose names can be completed."""
    folder = tmp_path_factory.mktemp("completion")
    hook = path_of_hook(tmp_path_factory.mktemp("hook"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(hook), str(ROOT)])}
    for shell in SHELLS:
        command = [sys.executable, "-m", "tfl", "completion", shell]
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        (folder / f"tfl.{shell}").write_text(text)
    for name in ("photos", "runs/ants", "runs/apes", "runs/bees"):
        (folder / name).mkdir(parents=True)
    (folder / "mine.py").touch()
    return folder


def needs(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} at hand (apt-get install {shell})")


def ask(shell, program, folder):
    """Return what a shell answers to each line."""
    needs(shell)
    asked = "".join(f"{line}\n" for line in ASKED)
    done = subprocess.run([shell, "-c", program], cwd=folder, input=asked, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    answers = dict(line.split("|", 1) for line in done.stdout.splitlines())
    assert len(answers) == len(ASKED)
    return {line: set(answer.split()) for line, answer in zip(ASKED, answers.values(), strict=True)}


def test_bash_completes(scripts):
    answers = ask("bash", BASH, scripts)
    assert {line: answers[line] & words for line, words in ASKED.items()} == ASKED
    for line, answer in answers.items():
        begin = re.split("[ =]", line)[-1]
        assert all(word.startswith(begin) for word in answer), line


def test_fish_completes(scripts):
    answers = ask("fish", FISH, scripts)
    for line, words in ASKED.items():
        found = {word.rstrip("/").rpartition("=")[2] or word for word in answers[line]}
        assert {word.rstrip("=") for word in words} <= {word.rstrip("=") for word in found}, line


class Terminal:
    """A shell at a terminal, for keys that are typed."""

    def __init__(self, command, folder):
        self.said = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(TERM="dumb", PS1="> ", PROMPT="> ")
            os.execvp(command[0], command)

    def type(self, keys, until):
        """Type some keys, and return what the terminal shows when a text is in it."""
        self.said = ""
        os.write(self.file, keys.encode())
        while until not in self.said:
            assert select.select([self.file], [], [], warm.PATIENCE)[0], self.said
            self.said += os.read(self.file, 4096).decode(errors="replace")
        return self.said

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


@pytest.mark.parametrize(
    ("shell", "setup"),
    [
        (["bash", "--norc", "--noprofile", "-i"], "source ./tfl.bash"),
        (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D; source ./tfl.zsh"),
        (["zsh", "-f", "-i"], "cp tfl.zsh _tfl; fpath+=$PWD; autoload -U compinit; compinit -u -D"),
    ],
    ids=["bash", "zsh", "zsh by its path"],
)
def test_the_tab_key_completes(scripts, shell, setup):
    needs(shell[0])
    terminal = Terminal(shell, scripts)
    try:
        terminal.type(f"{setup}; echo rea''dy\n", until="ready")
        terminal.type("tfl tra\t", until="train ")
        terminal.type("--backb\t", until="--backbone=")
        terminal.type("Xc\t", until="Xception")
        terminal.type(" --config.head.poo\t", until="--config.head.pooling=")
        terminal.type("ge\t", until="gem")
        terminal.type(" --workdir=runs/be\t", until="runs/bees")
        terminal.type(" pho\t", until="photos")
        terminal.type("\x15tfl launch --workers=2 -- train --prec\t", until="--precision=")
    finally:
        terminal.end()


def test_the_page_installs_the_scripts(scripts, tmp_path):
    """The blocks of docs/how-to/completion.md, with a home of their own."""
    (tmp_path / "tfl").write_text(f"#!/bin/sh\ncat {shlex.quote(str(scripts))}/tfl.$2\n")
    (tmp_path / "tfl").chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    for block in blocks_of(ROOT / "docs" / "how-to" / "completion.md"):
        subprocess.run(["bash", "-ec", block.text], env=environment, check=True)
    for shell, place in {
        "bash": ".local/share/bash-completion/completions/tfl",
        "fish": ".config/fish/completions/tfl.fish",
        "zsh": ".zfunc/_tfl",
    }.items():
        assert (tmp_path / place).read_text() == (scripts / f"tfl.{shell}").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_flag_of_the_reference_is_completed(scripts, shell):
    text = (scripts / f"tfl.{shell}").read_text()
    words = {"bash": "--{}", "zsh": "--{}", "fish": "-l {} "}[shell]
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    flags = re.findall(r"^\| `--(?:\[no\])?([\w.]+)`", page, re.MULTILINE)
    assert len(flags) > 40
    for name in [*flags, *(f"config.{option.path}" for option in list_options())]:
        assert words.format(name) in text, name
    assert all(name in text for name in COMMANDS)


def test_the_scripts_are_valid(scripts):
    for shell in filter(shutil.which, SHELLS):
        done = subprocess.run([shell, "-n", f"tfl.{shell}"], cwd=scripts, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), shlex.join(done.args)


@pytest.mark.parametrize("words", [["completion"], ["completion", "csh"], ["completion", "bash", "zsh"]])
def test_another_shell_is_refused(run_cold, words):
    done = run_cold("-m", "tfl", *words)
    assert done.returncode == 2 and "`shell` must be" in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""
