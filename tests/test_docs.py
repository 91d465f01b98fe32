"""Everything in README and docs that can be typed is typed, on small photos and with networks of three layers."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf
import warm
from doc_blocks import COMMANDS, PAGES, ROOT, SHOWN, Block, blocks_of, files_of_a_run, names_in, words_of
from option_runs import write_photos

from tfl.commands import COMMANDS as COMMANDS_OF_TFL

PROGRAM = ROOT / "tests" / "doc_program.py"
FRESH = ("README.md", "tutorial.md")  # pages that make their own runs
MARKER = re.compile(r"not run: \S.+|run by: (tests/\S+\.py)|prints")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder like a checkout, with photos of ants and bees."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("scripts", "configs", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    for seed, name in enumerate(("photos", "other_photos")):
        write_photos(folder / name, (14, 14), seed)
        for label, kind in enumerate(("ants", "bees")):
            (folder / name / f"class_{label}").rename(folder / name / kind)
    for kind in ("ants", "bees"):
        picture = tf.io.decode_png((folder / "other_photos" / kind / "0.png").read_bytes())
        (folder / f"{kind.removesuffix('s')}.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())
    return folder


@pytest.fixture(scope="module")
def home_with_runs(home, tmp_path_factory):
    """The same with two finished runs."""
    folder = tmp_path_factory.mktemp("with_runs") / "home"
    shutil.copytree(home, folder, symlinks=True)
    files = sorted(path.relative_to(folder / "photos") for path in (folder / "photos").rglob("*.png"))
    rows = [f"{file.as_posix()},{('phone', 'reflex')[number % 2]}" for number, file in enumerate(files)]
    (folder / "cameras.csv").write_text("\n".join(["id,camera", *rows]))
    code = "import tfl\ntfl.transfer('photos', 'runs/photos')\n"
    code += "tfl.transfer(tfl.TransferConfig(data=tfl.DataConfig(source='folder:photos')), 'runs/frozen')"
    run_python([code], folder)
    shutil.copy(folder / "runs" / "photos" / "predictions.csv", folder)
    return folder


class Typist:
    """Types the commands of a page; a service that a page starts runs until the page ends."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.service: tuple[warm.Process, str] | None = None

    def type(self, line: str) -> str:
        """Run a line, and return what it prints."""
        if line.startswith("tfl serve"):
            self.serve(line)
            return ""
        if line.startswith("curl"):
            return self.ask(line)
        words = words_of(line)
        words[0] = words[0].removeprefix(".venv/bin/")
        assert words[0] in ("tfl", "python"), f"no test can run this: {line}"
        return run([PROGRAM, *words], self.home)

    def serve(self, line: str) -> None:
        assert self.service is None, "one service a page"
        log = self.home / "service.log"
        log.unlink(missing_ok=True)
        process = warm.Process([PROGRAM, *words_of(line), "--port=0"], log, env=environment(), cwd=self.home)
        while not (found := re.search(r"at (http://[\d.]+:\d+)", log.read_text() if log.exists() else "")):
            assert process.poll() is None, log.read_text()
        self.service = process, found[1]

    def ask(self, line: str) -> str:
        if shutil.which("curl") is None:
            pytest.skip("no curl at hand (apt-get install curl)")
        assert self.service is not None, "no service to ask"
        line = re.sub(r"http://(127\.0\.0\.1|localhost):8501", self.service[1], line)
        line = line.replace("curl ", "curl --silent --fail --retry 30 --retry-all-errors ", 1)
        done = subprocess.run(["bash", "-c", line], cwd=self.home, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def end(self) -> None:
        if self.service is not None:
            self.service[0].send_signal(signal.SIGTERM)
            assert self.service[0].wait() == 0


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


def run(words: list, home: Path) -> str:
    done = warm.run(words, environment(), home)
    assert done.returncode == 0, f"{' '.join(map(str, words[1:]))}\n{done.stderr}"
    return done.stdout


def run_python(code: list[str], home: Path) -> str:
    file = home / "blocks.json"
    file.write_text(json.dumps(code))
    return run([PROGRAM, "blocks", file], home)


def follow(page: Path, home: Path) -> dict[str, str]:
    """Do what a page says, and return what each command printed; its Python runs where the last Python block is."""
    typist, printed, blocks = Typist(home), {}, blocks_of(page)
    python = [block for block in blocks if block.runs and block.language == "python"]
    said = ""
    for block in blocks:
        if block.runs and block.language in COMMANDS:
            for line in block.lines:
                printed[line] = said = typist.type(line)
        elif python and block is python[-1]:
            said = run_python([each.text for each in python], home)
        elif block.marker == "prints":
            assert block.text in said, f"{name_of(page)}: {block.text}"
    typist.end()
    return printed


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.runs for b in blocks_of(page))], ids=name_of)
def test_everything_on_the_page_runs(page, request, tmp_path):
    home = request.getfixturevalue("home" if page.name in FRESH else "home_with_runs")
    if page.name in FRESH:
        home = shutil.copytree(home, tmp_path / "home", symlinks=True)
    printed = follow(page, home)
    if page.name == "README.md":
        check_the_ways_agree(home)
        assert names_in(home / "runs" / "photos") == files_of_a_run() - {"pretrain/", "scratch/"}
        predicted = [text for line, text in printed.items() if "predict" in line]
        assert len(predicted) == 2 and predicted[0] == predicted[1]


def check_the_ways_agree(home: Path) -> None:
    """The command, the script and the Python of the README give the same figures to the bit."""
    runs = [json.loads((home / "runs" / name / "metrics.json").read_text()) for name in ("photos", "script", "python")]
    for part in ("test", "validation", "phases", "kept"):
        assert runs[0][part] == runs[1][part] == runs[2][part]
    tables = {(home / "runs" / name / "predictions.csv").read_bytes() for name in ("photos", "script", "python")}
    assert len(tables) == 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_run_or_says_why_not(page):
    for block in blocks_of(page):
        assert block.language in (*COMMANDS, *SHOWN, "python"), f"{block.language!r}: {block.text}"
        if block.marker:
            found = MARKER.fullmatch(block.marker)
            assert found, block.marker
            if found[1]:
                names = (page.name, "code_under", "doc_blocks")
                assert any(name in (ROOT / found[1]).read_text("utf-8") for name in names), block.marker
    assert page.read_text("utf-8").count("```") == 2 * len(blocks_of(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_flags_of_commands_that_are_not_run_exist(page):
    for block in blocks_of(page):
        if block.marker.startswith("not run") and block.language in COMMANDS:
            for line in block.lines:
                check_flags(line)


def check_flags(line: str) -> None:
    """Check the words of a command of tfl, a script or a benchmark; other programs are not ours."""
    if not re.search(r"\btfl \w|scripts/|benchmarks/|make ", line):
        return
    words = words_of(line)
    name = words[1].partition("/")[2] if words[1].endswith(".py") else words[1]
    if words[0] == "make":
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), line
        return
    text = help_of(words[1]) if words[0].endswith("python") else section_of(name)
    for flag in re.findall(r"(?<= )--(\w+)", " ".join(words).partition(" -- ")[0]):
        assert flag in text, f"{flag}: {line}"


def help_of(script: str) -> str:
    """Return the text that names the flags of a script or a benchmark."""
    source = (ROOT / script).read_text("utf-8")
    found = re.search(r"from tfl\.commands import (?:places, |recipes, )?(\w+)", source)
    return section_of(found[1]) + "config" if found else source


def section_of(command: str) -> str:
    assert command in COMMANDS_OF_TFL
    page = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    return page.partition(f"\n## tfl {command}\n")[2].partition("\n## ")[0]


def test_the_readme_names_every_script_recipe_and_page():
    text = (ROOT / "README.md").read_text("utf-8")
    for folder in ("scripts", "configs"):
        for path in (ROOT / folder).glob("*.py"):
            assert f"{folder}/{path.name}" in text
    assert "make quickstart" in text and "make test" in text


def test_every_page_can_be_reached_from_the_first_one():
    docs = ROOT / "docs"
    start = docs / "index.md"
    reached, left = {start}, [start]
    while left:
        page = left.pop()
        found = {(page.parent / link).resolve() for link in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text("utf-8"))}
        left += found - reached
        reached |= found
    assert set(docs.rglob("*.md")) <= reached


def test_a_block_is_read_with_its_marker():
    page = ROOT / "docs" / "how-to" / "extending.md"
    assert all(isinstance(block, Block) and block.marker.startswith("run by:") for block in blocks_of(page))
