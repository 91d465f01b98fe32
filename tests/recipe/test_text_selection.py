"""`tfl rank` and `tfl value` on texts, as the page on texts has them."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import warm
from doc_blocks import blocks_of, words_of
from texts import FOLDER, TINY, write_table

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "text.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the page has: a table and two networks."""
    folder = tmp_path_factory.mktemp("texts")
    write_table(folder / "films.tsv")
    for name, network in (("minilm", TINY), ("other", FOLDER / "bert_relu")):
        shutil.copytree(network, folder / "models" / name)
    return folder


def run(place, tool, *more):
    (line,) = [line for block in blocks_of(PAGE) for line in block.lines if line.startswith(f"tfl {tool}")]
    done = warm.run(["-m", "tfl", *words_of(line)[1:], *more], cwd=place, env={"TFL_CACHE": str(place / "cache")})
    assert done.returncode == 0, done.stderr
    return done


def test_networks_are_ranked_each_with_its_own_features(place):
    done = run(place, "rank")
    assert done.stderr.count("head.pooling=layers_cls: accuracy") == 2
    rows = list(csv.DictReader((place / "ranking" / "ranking.csv").open()))
    assert {Path(row["name"]).name for row in rows} == {"minilm", "other"}
    assert float(rows[0]["metric"]) >= float(rows[1]["metric"])


def test_pre_training_is_measured_against_random_weights(place):
    run(place, "value", "--epochs=1", "--config.scratch.epochs=1")
    points = list(csv.DictReader((place / "value" / "value.csv").open()))
    assert {row["way"] for row in points} == {"scratch", "frozen", "finetuned"}
    recorded = json.loads((place / "value" / "config.json").read_text())
    assert recorded["head"]["pooling"] != "auto" and recorded["data"]["image_size"] > 0
