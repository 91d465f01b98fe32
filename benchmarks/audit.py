"""Plant faults in real data sets, and count what the audit finds of them, for docs/benchmarks/audit.md.

    KERAS_HOME=COPY python benchmarks/audit.py --data=../shared/data --part=labels
    KERAS_HOME=COPY python benchmarks/audit.py --data=../shared/data --part=duplicates
    KERAS_HOME=COPY python benchmarks/audit.py --data=../shared/data --part=shortcuts

COPY is a copy of ../shared/weights/keras_home. The features are those of MobileNetV2 with alpha 0.35.

labels: a share of the labels of train and validation is flipped to another class at random. The peer is plain cleanlab
on the same features: cross-validated probabilities of scikit-learn's LogisticRegression, and `find_label_issues`.
duplicates: copies, new encodings, other sizes, mirrored copies and crops of photos are put into the test split.
shortcuts: all photos of one class are saved again with JPEG quality 60; and the sets as they are.
"""

import dataclasses
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from absl import app, flags

_DATA = flags.DEFINE_string("data", "../shared/data", "Folder of the data sets.")
_PART = flags.DEFINE_enum("part", "labels", ["labels", "duplicates", "shortcuts"], "What to plant.")
_SETS = flags.DEFINE_list("sets", ["hymenoptera", "dogs_cats_small", "cifar10_jpg_subset"], "Folders in it.")
_SIZE = flags.DEFINE_integer("image_size", 112, "Pixels per side.")
_SHARES = flags.DEFINE_list("shares", ["0.05", "0.1", "0.2"], "Shares of flipped labels.")
_SEEDS = flags.DEFINE_integer("seeds", 6, "Sets of flips.")
_FIRST_SEED = flags.DEFINE_integer("first_seed", 100, "Seed of the first set; the rules were chosen on 0 to 11.")
_MOST = flags.DEFINE_integer("most", 1500, "Most examples of train and validation.")
_PLANTED = flags.DEFINE_integer("planted", 30, "Photos of each way of planting a duplicate.")
WAYS = ("copy", "JPEG quality 60", "resized to 50-80 %", "mirrored", "crop of 85-95 % a side")


def main(argv: list[str]) -> None:
    del argv
    {"labels": labels, "duplicates": duplicates, "shortcuts": shortcuts}[_PART.value]()


def material_of(folder: Path, *, with_features: bool = True):
    """Return the data set in a folder, with its features, as the audit takes it."""
    import tfl
    from tfl.audit import Material
    from tfl.build import checked, load_splits
    from tfl.recipe.extraction import frozen_features
    from tfl.tasks import get_task

    config = checked(
        tfl.TransferConfig(
            data=tfl.DataConfig(source=f"folder:{folder}", image_size=_SIZE.value),
            backbone=tfl.BackboneConfig(alpha=0.35),
        )
    )
    splits = load_splits(config)
    features = np.zeros((len(splits.index), 1), np.float32)
    if with_features:
        features = np.asarray(frozen_features(config, splits).values[:])
    return Material(splits.source, features, get_task("multiclass"))


def labels() -> None:
    found, accuracies, seeds = [], [], range(_FIRST_SEED.value, _FIRST_SEED.value + _SEEDS.value)
    for name in _SETS.value:
        whole = _limited(material_of(Path(_DATA.value) / name))
        clean = _accuracy(whole, whole.index.labels, [])
        for share in map(float, _SHARES.value):
            planted = [_flip_and_find(whole, share, seed) for seed in seeds]
            rows = np.array([[*row, clean] for row in planted]).T
            found.append([name, f"{share:.0%}", *_found_cells(rows)])
            accuracies.append([name, f"{share:.0%}", *_accuracy_cells(rows[6:])])
            print(found[-1], accuracies[-1], flush=True)
    title = "| data | flipped | cleanlab: found | precision | recall | audit: found | precision | recall |"
    _print_table(f"{title} difference of precision (95 %) | of recall (95 %) |", found)
    title = "| data | flipped | trained on all | without cleanlab's | without the audit's | on true labels |"
    _print_table(f"{title} cost | recovered | more than half of the cost (95 %) |", accuracies)


def _print_table(title: str, rows: list[list[str]]) -> None:
    print("\n".join(["", title, "|---" * (title.count("|") - 1) + "|", *(f"| {' | '.join(row)} |" for row in rows)]))


def _found_cells(rows: np.ndarray) -> list[str]:
    """Return means over sets of flips, and Student's t intervals of the differences, set by set."""
    means = [f"{row.mean():.0f}" if place in (0, 3) else f"{row.mean():.3f}" for place, row in enumerate(rows[:6])]
    return [*means, *(_with_interval(rows[place + 3] - rows[place]) for place in (1, 2))]


def _accuracy_cells(rows: np.ndarray) -> list[str]:
    all_labels, _, without_ours, clean = rows
    cost, gain = clean - all_labels, without_ours - all_labels
    matters = cost.mean() >= 0.02
    recovered = [f"{gain.mean() / cost.mean():.0%}", _with_interval(gain - cost / 2)] if matters else ["", ""]
    return [*(f"{row.mean():.3f}" for row in rows), f"{cost.mean():.3f}", *recovered]


def _with_interval(values: np.ndarray) -> str:
    from tfl.evaluation.intervals import student_interval

    interval = student_interval(values.tolist())
    return f"{values.mean():+.3f}" + (f" ({interval[0]:+.3f} to {interval[1]:+.3f})" if interval else "")


def _limited(material):
    """Leave out examples of train and validation beyond the limit, the same share of both."""
    index, fitting = material.index, material.fitting
    left_out = np.random.default_rng(0).permutation(fitting)[_MOST.value :]
    splits = index.splits.astype("<U10")
    splits[left_out] = "unused"
    return dataclasses.replace(material, source=material.source.with_index(dataclasses.replace(index, splits=splits)))


def _flip_and_find(material, share: float, seed: int) -> list[float]:
    from tfl.audit.labels import find_label_errors
    from tfl.audit.opinions import form_opinions

    index, rng = material.index, np.random.default_rng(seed)
    fitting, count = material.fitting, len(index.class_names)
    flipped = rng.choice(fitting, round(share * len(fitting)), replace=False)
    given = index.labels.copy()
    given[flipped] = (given[flipped] + rng.integers(1, count, len(flipped))) % count
    planted = dataclasses.replace(material, source=material.source.with_index(dataclasses.replace(index, labels=given)))
    row_of = {name: row for row, name in enumerate(index.ids.tolist())}
    opinions = form_opinions(planted, np.arange(len(index)))
    suspects = [] if opinions is None else find_label_errors(planted, opinions)
    ours = np.array([row_of[finding.id] for finding in suspects], int)
    ours = np.intersect1d(ours, fitting)
    theirs = fitting[_plain_cleanlab(material.features[fitting], given[fitting])]
    found = []
    for rows in (theirs, ours):
        right = len(np.intersect1d(rows, flipped))
        found += [len(rows), right / max(1, len(rows)), right / len(flipped)]
    accuracies = [_accuracy(material, given, out) for out in ([], theirs, ours)]
    return [*found, *accuracies]


def _plain_cleanlab(features: np.ndarray, given: np.ndarray) -> np.ndarray:
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    from tfl.features.rows import single_threaded

    model = LogisticRegression(max_iter=1000)
    with single_threaded():  # 20 times faster beside other programs
        probabilities = cross_val_predict(model, features, given, cv=5, method="predict_proba")
    return find_label_issues(given, probabilities, n_jobs=1)


def _accuracy(material, given: np.ndarray, left_out) -> float:
    """Return the test accuracy, with true labels, of a head that is solved and chosen on the given labels."""
    from tfl.features import choose_head
    from tfl.models.inference import Outputs
    from tfl.progress import quiet

    splits = material.index.splits
    parts = []
    for name in ("train", "validation"):
        rows = np.setdiff1d(np.flatnonzero(splits == name), left_out)
        parts.append(Outputs(material.features[rows], given[rows], rows))
    with quiet():
        head = choose_head(*parts, num_outputs=len(material.index.class_names)).chosen
    test = np.flatnonzero(splits == "test")
    return float(np.mean(head.logits(material.features[test]).argmax(axis=1) == material.index.labels[test]))


def duplicates() -> None:
    from tfl.audit.duplicates import find_duplicates

    print("| data | examples |", *(f" {way} |" for way in WAYS), " pairs found | precision |", sep="")
    print("|---" * (4 + len(WAYS)) + "|")
    for name in _SETS.value:
        with tempfile.TemporaryDirectory() as folder:
            planted = _plant(Path(_DATA.value) / name, Path(folder))
            material = material_of(Path(folder))
            found = find_duplicates(material)
            row_of = {name: row for row, name in enumerate(material.index.ids.tolist())}
            wanted = {tuple(sorted((row_of[copy], row_of[origin]))): way for copy, origin, way in planted}
            pairs = [tuple(pair) for pair in found.pairs.tolist()]
            right = Counter(wanted[pair] for pair in pairs if pair in wanted)
            cells = [f"{right[way]} of {_PLANTED.value}" for way in WAYS]
            precision = sum(right.values()) / max(1, len(pairs))
            shown = [name, str(len(material.index)), *cells, str(len(pairs)), f"{precision:.3f}"]
            print(f"| {' | '.join(shown)} |", flush=True)
            for pair in pairs:
                if pair not in wanted:
                    print("not planted:", *(material.name(row) for row in pair), flush=True)


def _photos(data: Path) -> list[Path]:
    files = sorted(file for file in data.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    return [files[place] for place in np.random.default_rng(0).permutation(len(files))[: _MOST.value]]


def _plant(data: Path, folder: Path) -> list[tuple[str, str, str]]:
    """Copy photos into train, and changed copies of some into test; return (id, id of the original, way)."""
    from PIL import Image, ImageOps

    rng, files, planted = np.random.default_rng(0), _photos(data), []
    for number, file in enumerate(files):
        target = folder / "train" / file.parent.name / f"{number}{file.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    for number in range(_PLANTED.value * len(WAYS)):
        file, way = files[number], WAYS[number % len(WAYS)]
        target = folder / "test" / file.parent.name / f"changed_{number}{file.suffix if way == 'copy' else '.jpg'}"
        target.parent.mkdir(parents=True, exist_ok=True)
        image = Image.open(file).convert("RGB")
        width, height = image.size
        share = rng.uniform(0.5, 0.8) if way.startswith("resized") else rng.uniform(0.85, 0.95)
        size = (max(8, int(width * share)), max(8, int(height * share)))
        left, top = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(image.size, size, strict=True))
        if way == "copy":
            shutil.copy(file, target)
        elif way == "JPEG quality 60":
            image.save(target, quality=60)
        elif way.startswith("resized"):
            image.resize(size, Image.Resampling.BICUBIC).save(target, quality=92)
        elif way == "mirrored":
            ImageOps.mirror(image).save(target, quality=92)
        else:
            image.crop((left, top, left + size[0], top + size[1])).save(target, quality=92)
        ids = [f"{split}/{file.parent.name}/{name}" for split, name in
               (("test", target.name), ("train", f"{number}{file.suffix}"))]  # fmt: skip
        planted.append((ids[0], ids[1], way))
    return planted


def shortcuts() -> None:
    from PIL import Image

    from tfl.audit.shortcuts import find_shortcuts, measure_trait, sample, trait_columns

    print("| data | trait | class | Youden's index | from (95 %) | reported |")
    print("|---" * 6 + "|")
    for name in _SETS.value:
        for planted in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                files = _photos(Path(_DATA.value) / name)
                chosen = min(file.parent.name for file in files)
                for number, file in enumerate(files):
                    target = Path(folder) / file.parent.name / f"{number}{file.suffix}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if planted and file.parent.name == chosen:
                        Image.open(file).convert("RGB").save(target.with_suffix(".jpg"), quality=60)
                    else:
                        shutil.copy(file, target)
                material = material_of(Path(folder), with_features=False)
                reported = {finding.id for finding in find_shortcuts(material)}
                rows, given, groups = sample(material)
                title = f"{name}, {chosen} at quality 60" if planted else name
                for trait, columns in trait_columns(material).items():
                    if len(np.unique(columns[rows], axis=0)) > 1:
                        found = measure_trait(columns[rows], given, groups, least=2)  # no permutations: it is answered
                        told = material.index.class_names[found.label]
                        cells = (title, trait, told, f"{found.share:.2f}", f"{found.low:.2f}")
                        print(f"| {' | '.join(cells)} | {'yes' if trait in reported else 'no'} |", flush=True)


if __name__ == "__main__":
    app.run(main)
