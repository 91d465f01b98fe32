"""Run what the docs show, with networks of three layers: a command (`tfl train photos`), or Python from a file.

doc_program.py tfl train photos
doc_program.py python scripts/train.py --config=configs/folder.py
doc_program.py blocks FILE.json
"""

import dataclasses
import json
import runpy
import sys
from pathlib import Path

import keras
from option_runs import build_tiny

from tfl.backbones import catalog

NETWORKS = ("MobileNetV2", "MobileNet", "ResNet50V2", "EfficientNetV2B0")  # those that the docs run


def main() -> None:
    """Run the words of the command line."""
    for name in NETWORKS:
        setattr(keras.applications, name, build_tiny)
        catalog._BY_NAME[name] = dataclasses.replace(catalog.get_backbone_spec(name), image_size=64)
    kind, *words = sys.argv[1:]
    if kind == "tfl":
        sys.argv = ["tfl", *words]
        runpy.run_module("tfl", run_name="__main__", alter_sys=True)
    elif kind == "python":
        sys.argv, sys.path = words, [str(Path(words[0]).resolve().parent), *sys.path]
        runpy.run_path(words[0], run_name="__main__")
    else:
        names: dict[str, object] = {"__name__": "docs"}
        for number, text in enumerate(json.loads(Path(words[0]).read_text("utf-8"))):
            exec(compile(text, f"block {number + 1}", "exec"), names)


main()
