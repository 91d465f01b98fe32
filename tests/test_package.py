"""The package that is built: what it holds, and that it works alone, away from the checkout."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import warm
from option_runs import write_photos

from tfl.commands import COMMANDS
from tfl.version import DISTRIBUTION, VERSION, install_command

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
# Runs in another folder, with the package from the wheel; TensorFlow is imported once, by the server of `warm`.
USE = """
import base64, importlib.util, json, pathlib, re, signal, sys, time, urllib.request
import warm, tfl
assert tfl.__file__.startswith(sys.argv[1]), tfl.__file__
small = ["--backbone=MobileNet", "--config.backbone.alpha=0.25", "--config.backbone.weights=none", "--image_size=32"]
extras = {"keras": "keras", "saved_model": "keras", "litert": "ai_edge_litert", "onnx": "tf2onnx"}
formats = [name for name, package in extras.items() if importlib.util.find_spec(package)]
for words in (
    ["train", "photos", "--epochs=0", *small],
    ["train", "photos", "--epochs=0", *small, "--config.probe.l2=1", "--workdir=runs/second"],
    ["evaluate", "runs/photos"],
    ["predict", "runs/photos", "photos", "--output=answers.csv"],
    ["compare", "runs/photos", "runs/second"],
    ["report", "runs/photos"],
    ["export", "runs/photos", "--formats=" + ",".join(formats)],
    ["features", "photos", "--output=features", *small],
    ["backbones", "MobileNet*"],
    ["options", "data"],
    ["launch", "--help"],
):
    done = warm.run(["-m", "tfl", *words])
    assert done.returncode == 0, (words, done.stderr)
print(json.dumps({"formats": formats}))

if importlib.util.find_spec("fastapi"):
    log = pathlib.Path("serve.err")
    service = warm.Process(["-m", "tfl", "serve", "runs/photos", "--port=0"], pathlib.Path("serve.out"), log)
    while not (address := re.search(r"http://[^,\\s]+", log.read_text() if log.exists() else "")):
        assert service.poll() is None, log.read_text()
        time.sleep(0.05)
    photo = next(path for path in pathlib.Path("photos").rglob("*") if path.is_file())
    body = {"instances": [{"b64": base64.b64encode(photo.read_bytes()).decode()}]}
    url = address[0] + "/v1/models/model:predict"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as answer:
        (prediction,) = json.load(answer)["predictions"]
    assert abs(sum(prediction["probabilities"]) - 1) < 1e-5, prediction
    service.send_signal(signal.SIGTERM)
    assert service.wait() == 0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the files that it is made of."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("tfl", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    built = subprocess.run([sys.executable, "-c", BUILD, "dist"], cwd=folder, capture_output=True, text=True)
    if "invalid command 'bdist_wheel'" in built.stderr:
        pytest.skip("no setuptools that builds wheels: pip install 'setuptools>=77'")
    assert built.returncode == 0, built.stderr
    (path,) = (folder / "dist").iterdir()
    return path


def test_the_wheel_holds_all_that_a_user_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"{DISTRIBUTION.replace('-', '_')}-{VERSION}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        (licence,) = (name for name in names if name.startswith(info) and name.endswith("/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
        assert "tfl = tfl.__main__:main" in archive.read(f"{info}/entry_points.txt").decode()
    ours = [*(ROOT / "tfl").rglob("*.py"), *(ROOT / "tfl").rglob("templates/*"), ROOT / "tfl" / "py.typed"]
    assert {str(path.relative_to(ROOT)) for path in ours} <= names
    recipes = {f"tfl/configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    assert recipes <= names
    assert {name.partition("/")[0] for name in names} == {"tfl", info}  # nothing else lands beside the package
    assert metadata["Name"] == DISTRIBUTION and metadata["Version"] == VERSION
    assert metadata["License"] == "Apache-2.0" and metadata["Author"]
    assert "Typing :: Typed" in metadata.get_all("Classifier")


def test_the_package_works_alone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    write_photos(tmp_path / "photos", (12, 12))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(Path(warm.__file__).parent)]),
    }
    command = [sys.executable, "-c", USE, str(tmp_path / "site")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {"runs", "features", "answers.csv"}
    formats = json.loads(done.stdout)["formats"]
    certificate = json.loads((tmp_path / "runs" / "photos" / "export" / "certificate.json").read_text())
    assert [each["format"] for each in certificate["artefacts"].values()] == formats
    assert "<html" in (tmp_path / "runs" / "photos" / "report.html").read_text()


def test_the_licence_is_the_whole_apache_licence():
    text = (ROOT / "LICENSE").read_text()
    assert text.count("\n") > 190 and "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text


def names_of_extras() -> list[str]:
    setup = (ROOT / "setup.py").read_text()
    return re.findall(r'^        "([\w-]+)": ', setup[setup.index("extras_require") :], flags=re.MULTILINE)


def test_the_readme_names_every_extra():
    table = (ROOT / "README.md").read_text("utf-8").partition("| extra |")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z-]+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:]))
    assert sorted(named) == sorted(names_of_extras())


def test_every_hint_to_install_an_extra_names_this_distribution_and_an_extra_that_exists():
    extras = names_of_extras()
    files = [*(ROOT / "tfl").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    for path in files:
        text = path.read_text()
        assert "'tfl[" not in text, path
        for extra in re.findall(rf"{DISTRIBUTION}\[([\w-]+)\]", text) + re.findall(
            r"(?:install_command\(|check_extra\(.*, )['\"](.+?)['\"]\)", text
        ):
            assert extra in extras, path
    assert install_command("serve") == f"pip install '{DISTRIBUTION}[serve]'"


def test_scripts_and_commands_are_the_same(run_cold):
    """Every script calls the module of one command; only `options` and `completion` have no script."""
    called = set()
    for path in (ROOT / "scripts").glob("*.py"):
        called |= set(re.findall(r"^    (?:cli\.run\()?(\w+)\.(?:run|main)", path.read_text(), flags=re.MULTILINE))
    assert called == set(COMMANDS) - {"options", "completion"}
