"""The examples of docs/how-to/python.md run in their order, on small photos and a network of three layers."""

import dataclasses
import re
from pathlib import Path

import tensorflow as tf
from option_runs import build_tiny, write_photos

import tfl
from tfl.backbones import catalog

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "how-to" / "python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras.applications.MobileNetV2", build_tiny)
    small = dataclasses.replace(catalog.get_backbone_spec("MobileNetV2"), image_size=64)  # faster than 224
    monkeypatch.setitem(catalog._BY_NAME, "MobileNetV2", small)
    write_photos(tmp_path / "photos", (30, 30, 30))
    for label, name in enumerate(("ant", "bee", "wasp")):
        (tmp_path / "photos" / f"class_{label}").rename(tmp_path / "photos" / name)
    picture = tf.io.decode_png((tmp_path / "photos" / "ant" / "0.png").read_bytes())
    (tmp_path / "ant.jpg").write_bytes(tf.io.encode_jpeg(picture).numpy())
    names = {}
    for block in BLOCKS:
        exec(compile(block, "docs/how-to/python.md", "exec"), names)
    result, printed = names["result"], capsys.readouterr().out
    assert result.workdir.name == "photos" and {"probe", "finetune"} <= result.metrics["phases"].keys()
    assert printed.count("photos/ant/") == 30 and "ant.jpg" in printed
    assert tfl.load_run("runs/frozen").metrics["kept"] == "probe"
    assert names["scores"].mean() > 0.5 and names["search"].best_score_ > 0.5
    assert repr(names["splits"]) in PAGE and repr(names["splits"]) in printed
