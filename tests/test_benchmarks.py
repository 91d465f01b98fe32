"""Benchmarks run, and show what does not depend on the machine; their timings decide nothing here."""

import pytest


def read_table(text: str, *first: str) -> list[list[str]]:
    """Return the cells of the rows that begin with some cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in rows if tuple(row[: len(first)]) == first]


def test_probe_reaches_the_objective_of_scikit_learn(run_script, shared, keras_home):
    flags = ["--sets=hymenoptera", "--image_size=32", "--rounds=1", "--rows=500", "--classes=3", "--tolerances=1e-2"]
    result = run_script("benchmarks/probe.py", f"--data={shared}/data", *flags)
    assert result.returncode == 0, result.stderr
    ((_, rows, classes, _, difference, *_),) = read_table(result.stdout, "hymenoptera")
    assert (rows, classes) == ("202", "2")
    assert abs(float(difference)) < 1e-6
    ((_, _, excess),) = read_table(result.stdout, "scikit-learn, one solve, tol=0.01")
    assert float(excess) > 0


def test_sets_on_real_features_cover_what_they_promise(run_script, shared, keras_home):
    flags = ["--sets=hymenoptera", "--image_size=32", "--seeds=1", "--l2=1e-4"]
    result = run_script("benchmarks/calibration.py", f"--data={shared}/data", *flags)
    assert result.returncode == 0, result.stderr
    ((_, _, kept, validation, test, *figures),) = read_table(result.stdout, "hymenoptera", "0")
    assert (kept, validation, test) == ("probe", "43", "153")
    temperature, loss, loss_after = map(float, figures[:3])
    assert temperature > 1 and loss_after < loss  # so little a penalty makes it too sure
    for method in ("lac", "aps"):
        rows = read_table(result.stdout, "hymenoptera", "196", "2", method)
        assert [row[4] for row in rows] == ["0.8000", "0.9000", "0.9500"]
        for _, _, _, _, _, measured, expected, error, _ in rows:
            above = float(measured) - float(expected)
            assert above > -3 * float(error) and (method == "aps" or above < 3 * float(error))


def test_intervals_are_timed_against_scikit_learn(run_script):
    result = run_script("benchmarks/intervals.py", "--cases=100:2,100:3", "--rounds=1")
    assert result.returncode == 0, result.stderr
    for num_classes in ("2", "3"):
        ((_, _, *seconds),) = read_table(result.stdout, "100", num_classes)
        assert len(seconds) == 3 and all(float(value.removesuffix(" s")) >= 0 for value in seconds)


def test_an_update_has_the_objective_of_a_new_sum(run_script, shared, keras_home):
    result = run_script("benchmarks/update.py", "--times", "--rows=300", "--columns=30")
    assert result.returncode == 0, result.stderr
    assert float(result.stdout.rpartition(": ")[2]) < 1e-8
    flags = ["--sets=hymenoptera:32", "--networks=MobileNet:0.25", "--seeds=1", "--store=none"]
    result = run_script("benchmarks/update.py", f"--data={shared}/data", *flags)
    assert result.returncode == 0, result.stderr
    ((_, _, *heads, accuracy, loss),) = read_table(result.stdout, "hymenoptera")
    assert len(heads) == 3 and all("/" in cell for cell in heads)
    assert accuracy[0] in "+-" and "to" in loss


@pytest.mark.slow  # two processes, each with TensorFlow and a network
def test_memory_is_measured_for_both_steps(run_script, keras_home):
    result = run_script("benchmarks/memory.py", "--images=200")
    assert result.returncode == 0, result.stderr
    for step in ("extract", "probe"):
        ((_, _, before, above, _),) = read_table(result.stdout, "200", step)
        assert 0 < float(above.removesuffix(" GiB")) < 2 and float(before.removesuffix(" GiB")) > 0.2


@pytest.mark.slow  # four ways to trace
def test_cut_times_every_way(run_script):
    flags = ["--cases=MobileNetV2:1", "--image_size=32", "--images=32", "--rounds=1"]
    result = run_script("benchmarks/cut.py", *flags)
    assert result.returncode == 0, result.stderr
    ((_, cut, share, *seconds, _, _),) = read_table(result.stdout, "MobileNetV2")
    assert cut.startswith("block_") and 0 < float(share) < 1
    assert all(float(value.removesuffix(" s")) > 0 for value in seconds) and len(seconds) == 5


@pytest.mark.slow  # three processes, each with TensorFlow and a network
def test_distributed_counts_the_checkpoints_and_runs_both_groups(run_script):
    result = run_script("benchmarks/distributed.py", "--rounds=1", "--steps=4", "--every=2", "--image_size=32")
    assert result.returncode == 0, result.stderr
    (costs,) = (row for row in read_table(result.stdout) if row[0].endswith(" s"))
    assert costs[2] == "2" and float(costs[3]) > 1
    for workers in ("1", "2"):
        ((_, batch, rate, _),) = read_table(result.stdout, workers)
        assert batch == "32" and float(rate) > 0


def test_losses_for_unequal_classes_and_wrong_labels_are_compared(run_script, shared, keras_home):
    flags = ["--sets=fashion_mnist_png_subset", "--image_size=32", "--seeds=2", "--epochs=2"]
    result = run_script("benchmarks/imbalance.py", f"--data={shared}/data", *flags)
    assert result.returncode == 0, result.stderr
    rows = {cells[0]: float(cells[1]) for cells in read_table(result.stdout) if cells[1][:1] == "0"}
    assert len(rows) == 14 and all(0 < value < 1 for value in rows.values())
    assert rows["solved, logit_adjustment=1"] > rows["solved, no weights"]


@pytest.mark.slow  # three processes
def test_the_audit_is_measured_on_planted_faults(run_script, shared, keras_home):
    flags = [f"--data={shared}/data", "--sets=hymenoptera", "--image_size=64", "--most=90"]
    found = run_script("benchmarks/audit.py", *flags, "--part=labels", "--shares=0.2", "--seeds=2")
    assert found.returncode == 0, found.stderr
    ((*_, number, precision, recall, _, _), (*_, cost, _, _)) = read_table(found.stdout, "hymenoptera", "20%")
    assert float(precision) * float(number) == pytest.approx(18 * float(recall), rel=0.1)  # flips that were found
    assert abs(float(cost)) < 1
    copies = run_script("benchmarks/audit.py", *flags, "--part=duplicates", "--planted=4")
    ((_, examples, *ways, _, _),) = read_table(copies.stdout, "hymenoptera")
    assert examples == "110" and ways[:4] == ["4 of 4"] * 4
    traits = run_script("benchmarks/audit.py", *flags, "--part=shortcuts")
    assert read_table(traits.stdout, "hymenoptera, ants at quality 60", "compression")[0][-1] == "yes"
    assert {row[-1] for row in read_table(traits.stdout, "hymenoptera")} == {"no"}


def test_segmentation_is_measured_in_every_way(run_script, shared, keras_home, tmp_path):
    flags = [f"--source=masks:{shared}/data/seg_camvid_subset", "--ignore_label=11", "--image_size=32", "--epochs=1"]
    result = run_script("benchmarks/segmentation.py", *flags, f"--figures={tmp_path}/f.json", "--ways=trained from it")
    assert result.returncode == 0, result.stderr
    ((_, _, kept, mean_iou, interval, *figures),) = read_table(result.stdout, "trained from it")
    low, high = map(float, interval.split(" to "))
    assert kept in ("probe", "finetune") and low <= float(mean_iou) <= high and len(figures) == 3
