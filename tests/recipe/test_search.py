"""A search finds the smallest held-out loss, goes on where it stopped, and never reads the test split."""

import json
import shutil

import pytest
from option_runs import make_config, tiny_networks, write_photos

from tfl.build import load_splits
from tfl.config.ranges import Range, parse_ranges
from tfl.errors import InputError
from tfl.recipe import search
from tfl.recipe.search import search_options
from tfl.recipes import load_recipe

pytest.importorskip("optuna", reason="the extra `search` is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    write_photos(folder / "photos", (16, 16))
    return folder


@pytest.fixture(autouse=True)
def networks():
    with tiny_networks():
        yield


def test_the_best_trial_is_written_as_a_recipe_and_a_search_goes_on(folder):
    config = make_config(folder / "photos", folder / "store", {})
    ranges, output = ["head.pooling=avg,max", "probe.l2=1e-4..10.0:log"], folder / "found"
    first = search_options(config, ranges, output, trials=2)
    assert first.trials == 2
    found = search_options(config, ranges, output, trials=5)
    lines = (output / "search.csv").read_text().splitlines()
    assert lines[0] == "trial,head.pooling,probe.l2,loss" and len(lines) == 6 == found.trials + 1
    losses = [float(line.split(",")[-1]) for line in lines[1:]]
    assert losses == sorted(losses) and losses[0] == pytest.approx(found.loss) and found.loss <= first.loss
    assert len({line.split(",")[2] for line in lines[1:]}) == 5  # a search that goes on draws other values
    best = load_recipe(str(output / "best.py"))
    assert (best.head.pooling, best.probe.l2) == (found.values["head.pooling"], found.values["probe.l2"])
    assert best.data.source == config.data.source
    assert set(found.importances) == {"head.pooling", "probe.l2"}
    assert sum(found.importances.values()) == pytest.approx(1)
    stored = json.loads((output / "search.json").read_text())
    assert stored["importances"] == found.importances and stored["best"] == found.values
    with pytest.raises(InputError, match="must be a new folder or that of the same search"):
        search_options(config, ranges[:1], output)


@pytest.mark.parametrize(
    ("epochs", "range_"), [(0, "probe.l2=1e-3..1.0:log"), (1, "finetune.learning_rate=1e-4..1e-2:log")]
)
def test_the_test_split_is_not_read(folder, tmp_path, monkeypatch, epochs, range_):
    """A search with test images that are missing has the same losses as one with all images."""
    photos = tmp_path / "photos"
    shutil.copytree(folder / "photos", photos)
    config = make_config(photos, tmp_path / "store", {"finetune.epochs": epochs, "finetune.unfreeze": "all"})
    splits, ranges = load_splits(config), [range_]
    assert len(splits.test)
    whole = search_options(config, ranges, tmp_path / "whole", trials=1)
    load = search.load_splits

    def without_files(own):
        loaded = load(own)
        for row in loaded.test:
            (photos / str(loaded.index.ids[row])).unlink(missing_ok=True)
        return loaded

    monkeypatch.setattr(search, "load_splits", without_files)
    config.features.store = str(tmp_path / "other_store")
    assert search_options(config, ranges, tmp_path / "part", trials=1).loss == whole.loss
    assert not any((photos / str(splits.index.ids[row])).exists() for row in splits.test)


def test_the_first_trial_is_the_config_itself(folder, tmp_path):
    config = make_config(folder / "photos", folder / "store", {"probe.l2": 0.5})
    found = search_options(config, ["probe.l2=0.1..1.0"], tmp_path / "first", trials=1)
    assert found.values == {"probe.l2": 0.5} and found.importances == {}


def test_a_search_that_was_stopped_in_its_first_trial_begins_with_the_config_again(folder, tmp_path):
    config = make_config(folder / "photos", folder / "store", {"probe.l2": 0.5})
    ranges = parse_ranges(["probe.l2=0.1..1.0"])
    for _ in range(2):
        drawn = search.Trials(tmp_path, ranges, 0)
        search._start(drawn, config, ranges)
        _, values = drawn.draw()  # the process ends here
        assert values == {"probe.l2": 0.5}


def test_a_trial_that_is_behind_the_others_trains_no_longer(folder, tmp_path, monkeypatch, capsys):
    """From the fifth trial on; a learning rate at which nothing is learned is behind after its first epoch."""
    values = {"finetune.epochs": 3, "finetune.unfreeze": "all", "features.views": 0, "finetune.early_stopping": 0}
    config = make_config(folder / "photos", folder / "store", values)
    rates = iter([1e-3, 2e-3, 3e-3, 4e-3, 1e-9, 5e-3])
    drawn = search.Trials.draw

    def draw(trials):
        rate = next(rates)
        trials._study.enqueue_trial({"finetune.learning_rate": rate})
        return drawn(trials)

    losses = iter([0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.4])
    ended = []

    class Told(search._StopBehind):
        def on_epoch_end(self, epoch, logs=None):
            ended.append(epoch + 1)
            super().on_epoch_end(epoch, {self.loss: next(losses, 0.5) if epoch == 0 else 0.5})

    monkeypatch.setattr(search.Trials, "draw", draw)
    monkeypatch.setattr(search, "_StopBehind", Told)
    found = search_options(config, ["finetune.learning_rate=1e-9..1e-2:log"], tmp_path / "found", trials=6)
    assert ended == [1, 2, 3] * 4 + [1, 1] and found.trials == 6
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("trial")]
    assert [("stopped after epoch 1, behind the others" in line) for line in lines] == [False] * 4 + [True] * 2
    assert len((tmp_path / "found" / "search.csv").read_text().splitlines()) == 7  # it counts with its best weights


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("head.pooling=avg,max", Range("head.pooling", ("avg", "max"))),
        ("data.image_size=96..224", Range("data.image_size", (), 96, 224)),
        ("probe.l2=1e-3..1:log", Range("probe.l2", (), 0.001, 1.0, is_log=True)),
    ],
)
def test_ranges_have_the_types_of_their_options(text, expected):
    (found,) = parse_ranges([text])
    assert found == expected
    assert all(type(value) is type(other) for value, other in zip(found.extremes, expected.extremes, strict=True))
    assert found.contains(found.extremes[0]) and not found.contains("other")


@pytest.mark.parametrize(
    "text",
    ["head.pooling", "head.pooling=avg", "head.pooling=avg,avg", "probe.l2=1..1", "probe.l2=2..1", "probe.l2=0..1:log",
     "probe.l2=1..2:lg", "head.pooling=avg..max", "data.image_size=96.5..128"],
)  # fmt: skip
def test_a_range_of_another_form_is_one_clear_line(text):
    with pytest.raises(InputError, match=r"`range` must be OPTION=LOW\.\.HIGH"):
        parse_ranges([text])


def test_mistakes_are_answered_before_anything_is_read(folder, tmp_path):
    config = make_config(tmp_path / "nowhere", folder / "store", {})
    for ranges, options, message in (
        ([], {}, "`range` must be given"),
        (["head.pooling=avg,max"] * 2, {}, "once for each"),
        (["data.source=a,b"], {}, "changes the model or its training"),
        (["probe.l2=-1..1"], {}, "`probe.l2` must"),
        (["head.pooling=avg,max"], {"trials": 0}, "`trials` must be at least 1"),
        (["head.pooling=avg,max"], {"budget_minutes": -1}, "`budget_minutes` must be at least 0"),
    ):
        with pytest.raises(InputError, match=message):
            search_options(config, ranges, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_what_mattered(folder, run_script):
    result = run_script(
        "scripts/search.py",
        "--config=configs/folder.py",
        f"--config.data.source=folder:{folder / 'photos'}",
        f"--config.features.store={folder / 'store'}",
        "--config.backbone.weights=none",
        "--backbone=MobileNetV2",
        "--config.backbone.alpha=0.35",
        "--image_size=32",
        "--epochs=0",
        "--range=head.pooling=avg,max",
        "--trials=2",
        f"--output={folder / 'command'}",
    )
    assert result.returncode == 0, result.stderr
    head, row = result.stdout.splitlines()
    assert head.split() == ["option", "best", "importance"]
    assert row.split()[0] == "head.pooling" and row.split()[1] in ("avg", "max")
    assert (folder / "command" / "best.py").exists()
