"""Wrong commands of a new user, each with part of the line that answers it: one list for the tests and mistakes.py."""

import base64
import contextlib
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tfl.data.records.examples import serialize_example
from tfl.data.records.framing import masked_checksum
from tfl.data.records.manifest import Manifest
from tfl.files.locks import lock_file
from tfl.recipes import load_recipe, recipes

WITHOUT = "WITHOUT"  # names the packages that a command must not find
# Python runs this file at its start: the program ends with a traceback if it imports TensorFlow.
HOOK = f"""
import importlib.util, os, sys
sys.modules.update(dict.fromkeys(filter(None, os.environ.get("{WITHOUT}", "").split(","))))
class Refuse:
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in ("tensorflow", "keras") else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        raise ImportError(module.__name__ + " was imported")
sys.meta_path.insert(0, Refuse())
"""


class Wrong(NamedTuple):
    """A wrong command.

    Attributes:
        words: after `tfl`.
        answer: part of the line that answers it.
        without: packages that are not installed.
    """

    words: str
    answer: str
    without: tuple[str, ...] = ()


FIRST_TEN = (
    Wrong("trian photos", "Did you mean 'train'?"),
    Wrong("train phots", "Received: 'phots', which does not exist. Did you mean 'photos'?"),
    Wrong(
        "train photos/ants",
        "it has no class folders. Received: {home}/photos/ants (3). Did you mean folder:{home}/photos?",
    ),
    Wrong("train masks:photos", "must be a folder with a folder of images and a folder of masks"),
    Wrong("train photos --epoch=3", "A flag must be one of `tfl train`. Received: --epoch. Did you mean 'epochs'?"),
    Wrong("train photos --lr=0.1", "Did you mean 'learning_rate'?"),
    Wrong("train photos --backbone=ResNet18", "Did you mean 'ResNet50', 'ResNet101' or 'ResNet152'?"),
    Wrong("evaluate nowhere", "`workdir` must be the folder of a run. Received: 'nowhere', which does not exist."),
    Wrong("predict nowhere ant.jpg", "`model` must be a finished workdir or an exported model. Received: 'nowhere'"),
    Wrong("export runs/done --formats=onx", "`formats` must be a known name. Received: 'onx'. Did you mean 'onnx'?"),
    Wrong("serve runs/done", "pip install 'tfl-transfer[serve]'. Received: no fastapi.", ("fastapi",)),
)
COMMAND = (
    Wrong("fit photos", "Did you mean 'train'?"),
    Wrong("photos", "Did you mean 'tfl train photos'?"),
    Wrong("backbones resnt*", "Did you mean 'ResNet50'"),
    Wrong("backbones vit", "`pattern` must match the name of a network. Received: pattern='vit'."),
    Wrong("backbones torch:gone.safetensors", "Received: 'torch:gone.safetensors', which does not exist."),
    Wrong("options lr", "Did you mean 'finetune.learning_rate'?"),
    Wrong("launch --workers=1 -- train phots", "`source` must be a folder of photos"),
    Wrong("launch --workers=1 train digits --seed=-1", "`seed` must be between 0 and"),
    Wrong("launch --workers=0 train digits", "`workers` must be at least 1."),
    Wrong("launch --worker=1 train digits", "Did you mean 'workers'?"),
    Wrong("launch", "`command` must come after --"),
)
SOURCE = (
    Wrong("train", "`source` must be given, as in `tfl train photos`."),
    Wrong("train setup.py", "Received: 'setup.py', which is a file."),
    Wrong("train folder:phots", "`data.source` must name a folder that exists."),
    Wrong("train boxes:phots", "`data.source` must name a folder or a file that exists."),
    Wrong("train flat", "`data.source` must hold at least two class folders, as in CLASS/1.jpg"),
    Wrong("train empty", "but it has no class folders. Received: {home}/empty (0)."),
    Wrong("train labels.csv", "`data.columns`"),
    Wrong("train labels.parquet", "pip install 'tfl-transfer[parquet]'", ("pyarrow",)),
    Wrong("train tfrecord:records/trian-*", "must name TFRecord files that exist. Received: tfrecord:{home}/records/"),
    Wrong("train tfrecord:photos/ants/*", "`data.source` must have TFRecord files. Received: {home}/photos/ants/0.gif"),
    Wrong("train sound.tfrecord", "`data.columns` must say which key has the image, as in path=KEY"),
    Wrong("train sound.tfrecord --config.data.columns=path=sond,label=label", "Did you mean 'sound'?"),
    Wrong("train half", "`data.source` must be a finished conversion. Received: {home}/half"),
    Wrong("train tfds:", "`source` must name what to read"),
    Wrong("train tfds:flowers --config.data.tfds_dir=nowhere", "`data.tfds_dir` must be a folder that exists."),
    Wrong("train tfds:flowers --config.data.tfds_splits=train=x,trian=y", "known: train, validation, test."),
    Wrong("train photos --config.data.tfds_splits=train[:10%]", "must be empty for a source other than tfds:NAME."),
    Wrong("train digits:3", "`source` must select two or more of the digits"),
    Wrong("train digits digits", "`source` must be given once. Received: digits digits."),
    Wrong("train digits epochs=3", "Received: digits epochs=3. Did you mean --epochs=3?"),
    Wrong("train digits --config.data.source=digits", "Received: digits --config.data.source."),
    Wrong(
        "train digits --config.backbone.weights=none --config.pretrain.source=folder:phots",
        "`pretrain.source` must name",
    ),
    Wrong("features phots --output=x", "`source` must be a folder of photos"),
    Wrong("features flat --output=x", "`data.source` must hold at least two class folders"),
)
OPTION = (
    Wrong("train digits --freeze=2", "Did you mean 'unfreeze'?"),
    Wrong("train digits --image-size=64", "Did you mean 'image_size'?"),
    Wrong("train digits --arch=VGG16", "Did you mean 'backbone'?"),
    Wrong("train digits --backbone=auto --config.backbone.alpha=0.5", "must be left out if backbone.name is 'auto'"),
    Wrong("features digits --backbone=auto --output=x", "`backbone.name` must name a network here."),
    Wrong("train digits --dropout_rate=0.2", "Did you mean 'config.head.dropout'?"),
    Wrong("train digits --epochs=ten", "invalid literal for int()"),
    Wrong("train digits --epochs=-2", "`finetune.epochs` must be at least 0, or -1: tfl chooses."),
    Wrong("train digits --epochs", "Missing value for flag"),
    Wrong("train digits --epochs=3 --config.finetune.epochs=4", "`epochs` must be given once."),
    Wrong("train digits --config.finetune.lr=1", "Did you mean 'finetune.learning_rate'?"),
    Wrong("train digits --backbone=ResNet5", "Did you mean 'ResNet50'?"),
    Wrong("train digits --backbone=mobilenet_v2", "Did you mean 'MobileNetV2'?"),
    Wrong("train digits --backbone=vit", "Received: 'vit'. `tfl backbones` lists them."),
    Wrong("train digits --backbone=torch:cut.safetensors", "must name a whole safetensors file of floating-point"),
    Wrong("train digits --precision=float16", "Did you mean 'mixed_float16'?"),
    Wrong("train digits --augmentation=heavy", "Known: none, light, shift, rand, "),
    Wrong("train digits --recipe=foldr", "must be a known recipe or a file. Received: 'foldr'. Did you mean 'folder'?"),
    Wrong("train digits --recipe=folder --config=configs/folder.py", "`recipe` must be given once."),
    Wrong("train digits --backbone=VGG16 --config.backbone.alpha=0.35", "`backbone.alpha` must be 1 for VGG16"),
    Wrong("train digits --config.backbone.weights=gone.h5", "weights='{home}/gone.h5', which does not exist."),
    Wrong("train digits --image_size=8", "`data.image_size` must be at least 32 for MobileNetV2."),
    Wrong("train digits --config=configs/foldr.py", "Did you mean 'configs/folder.py'?"),
    Wrong("train digits --config=folder", "Did you mean --recipe=folder?"),
    Wrong("train digits --config.tracking=mlflow", "pip install 'tfl-transfer[mlflow]'", ("mlflow",)),
    Wrong("train digits --config.features.runtime=openvino", "pip install 'tfl-transfer[fast-cpu]'", ("openvino",)),
    Wrong("train digits --seeds=a", "`seeds` must be two or more different seeds, as in 0,1,2, or their number from 2"),
    Wrong("train digits --seeds=0,0", "Received: 0,0."),
    Wrong("train digits --seeds=-1", "Received: -1."),
    Wrong("train digits --seeds=1", "Received: 1. Did you mean --seed=1, which is one run?"),
    Wrong("train digits --seeds=0,1 --seed=2", "must be given without `seed`. Received: --seeds=0,1 and --seed=2."),
    Wrong("value photos", "--output must have a value"),
    Wrong("value photos --output=x --ways=frosen", "Did you mean 'frozen'?"),
    Wrong("value photos --output=x --sizes=0", "`sizes` must be whole numbers from 1, as in 1,5,20. Received: 0."),
    Wrong("value --output=x", "`source` must be given, as in `tfl train photos`. Received: none."),
    Wrong("value photos --unlabelled=phots --output=x", "`unlabelled` must name a folder that exists."),
    Wrong("value photos --unlabelled=flat --output=x --next_count=0", "`next_count` must be a whole number from 1."),
    Wrong("value photos --unlabelled=flat --output=x --next_method=margn", "Did you mean 'margin'?"),
    Wrong("value photos --next_count=3 --output=x", "`unlabelled` must be given with --next_count. Received: none."),
    Wrong("value --unlabelled=flat --output=x --next_method=margin", "must be 'typiclust' if nothing is labelled yet."),
    Wrong("value --unlabelled=flat --output=x --seeds=2", "`source` must be given with --seeds, which needs labelled"),
    Wrong("value photos --unlabelled=flat --output=x", "pip install 'tfl-transfer[label]'", ("skactiveml",)),
    Wrong("pretrain", "`source` must be given, as in `tfl pretrain photos`. Received: none."),
    Wrong("pretrain phots", "`source` must be a folder of photos"),
    Wrong("pretrain photos --config.pretrain.method=simclr", "`pretrain.method` must be a known name."),
    Wrong("search photos --range=head.pooling=avg,max", "--output must have a value"),
    Wrong("search photos --output=x", "`range` must be given for at least one option"),
    Wrong("search photos --output=x --range=head.poolin=avg,max", "Did you mean 'head.pooling'?"),
    Wrong("search photos --output=x --range=data.split=1,2", "must be of an option that changes the model"),
    Wrong("search photos --output=x --range=head.pooling=avg,maxx", "`head.pooling` must be"),
    Wrong("search photos --output=x --range=finetune.learning_rate=1..x", "Received: 'finetune.learning_rate=1..x'."),
    Wrong("search photos --output=x --range=head.pooling=avg,max", "pip install 'tfl-transfer[search]'", ("optuna",)),
    Wrong("rank photos --backbones=MobileNet", "--output must have a value"),
    Wrong("rank photos --output=x --backbones=VVG*", "`pattern` must match the name of a network"),
    Wrong("rank photos --output=x --backbones=MobileNett", "Did you mean 'MobileNet'?"),
    Wrong("rank photos --output=x --backbones=MobileNet:wide", "such as MobileNetV2 or MobileNetV2:0.35"),
    Wrong("convert photos", "--output must have a value"),
    Wrong("convert phots --output=x", "`source` must be a folder of photos"),
    Wrong("convert photos --output=flat", "Received: 'flat', which has 0.gif and no manifest.json."),
    Wrong("convert photos --output=x --format=tfrecrd", "`format` must be a known name. Received: 'tfrecrd'."),
    Wrong("convert photos --output=x --shards=-1", "`shards` must be between 0 and 99999. Received: shards=-1."),
    Wrong("convert --output=flat --verify", "`output` must be the folder of a conversion. Received: 'flat'"),
    Wrong("convert photos --output=flat --verify", "`source` must be left out with --verify. Received: photos."),
    Wrong("features digits", "--output must have a value"),
    Wrong("features digits --output=x --epochs=3", "Received: --epochs. Did you mean 'config.finetune.epochs'?"),
    Wrong("features digits --output=x --format=csv", "Received: 'csv'. Known: npy, parquet, tfrecord."),
    Wrong("features digits --output=x --format=parquet", "pip install 'tfl-transfer[parquet]'", ("pyarrow",)),
    Wrong("features digits --output=setup.py", "`output` must be a folder"),
)
WORKDIR = (
    Wrong("train digits --workdir=flat", "`workdir` must be a new folder or the folder of an earlier run."),
    Wrong("train digits --workdir=setup.py", "Received: 'setup.py', which is a file."),
    Wrong("train photos --workdir=photos/run", "`workdir` must be outside the folder of the photos."),
    Wrong("train digits --workdir=runs/busy", "`workdir` must be used by one run at a time. Received: 'runs/busy'"),
    Wrong("train digits --workdir=runs/done --seed=1", "which differs in seed=1 (recorded: 0)."),
    Wrong("train digits --workdir=runs/cut_config", "must have only complete, readable files."),
    Wrong("train digits --seeds=0,1 --workdir=flat", "`workdir` must be a new folder or the folder of a study."),
    Wrong("evaluate", "`workdir` must be given once. Received: none."),
    Wrong("evaluate photos", "Received: 'photos', which has no config.json."),
    Wrong("evaluate runs", "Received: 'runs', which has no config.json. Did you mean 'runs/done'?"),
    Wrong("evaluate photos --workdir=photos", "`workdir` must be given once. Received: photos photos."),
    Wrong("evaluate runs/busy", "`workdir` must be a finished run. Received: 'runs/busy', which has no metrics.json."),
    Wrong("evaluate runs/cut_config", "only complete, readable files. Received: 'runs/cut_config/config.json'"),
    Wrong("report runs/cut_metrics", "only complete, readable files. Received: 'runs/cut_metrics/metrics.json'"),
    Wrong("evaluate runs/cut_model", "'runs/cut_model/model.keras': it is not a zip archive or is truncated."),
    Wrong("evaluate runs/no_splits", "Received: 'runs/no_splits', which has no splits.csv."),
    Wrong("evaluate runs/done --source=phots", "`source` must be a folder of photos"),
    Wrong("evaluate runs/done --slices=gone.csv:camera", "`slices` must be FILE.csv:COLUMN with a file that exists."),
    Wrong("evaluate runs/done --output=flat", "`output` must be writable, a file in a folder. Received: 'flat'"),
    Wrong("evaluate runs/done --predictions=p.parquet", "pip install 'tfl-transfer[parquet]'", ("pyarrow",)),
    Wrong("report nowhere", "`workdir` must be the folder of a run."),
    Wrong("report runs/busy", "`workdir` must be a finished run."),
    Wrong("report runs/cut_evaluation", "Received: 'runs/cut_evaluation/evaluation.json'"),
    Wrong("update runs/done --output=x", "train it with --config.probe.solver=ridge."),
    Wrong("update runs/busy --output=x", "`workdir` must be a finished run. Received: 'runs/busy'"),
    Wrong("update runs/done", "--output must have a value"),
    Wrong("compare runs/done", "`workdirs` must be two or more different runs. Received: runs/done."),
    Wrong("compare runs/done runs/done", "`workdirs` must be two or more different runs."),
    Wrong("compare nowhere photos", "`workdir` must be the folder of a run. Received: 'nowhere'"),
    Wrong("compare runs/done runs/busy", "`workdirs` must be a finished run."),
    Wrong("compare runs/done labels.csv", "Received: 'labels.csv': it has no column 'id'"),
)  # fmt: skip
MODEL = (
    Wrong("predict", "`model` must be given once, as --model or as --workdir."),
    Wrong("predict --model=photos ant.jpg", "which has no model.keras or saved_model.pb."),
    Wrong("predict runs photos", "which has no model.keras or saved_model.pb. Did you mean 'runs/done'?"),
    Wrong("predict runs/busy photos", "`model` must be a finished run."),
    Wrong("predict runs/done", "`files` must hold at least one usable file. Received: no file."),
    Wrong("predict runs/done gone.jpg", "Received: 'gone.jpg', which does not exist."),
    Wrong("predict runs/done empty", "Received: 'empty', which has no files."),
    Wrong("predict runs/done photos --top=0", "--top"),
    Wrong("predict setup.py photos", "Received: 'setup.py', which ends with none of .keras, .tflite, .onnx."),
    Wrong("predict other.onnx photos", "`model` must be a model that tfl saved or exported. Received: 'other.onnx'"),
    Wrong("predict cut.tflite photos", "Received: 'cut.tflite': it is not a zip archive or is truncated."),
    Wrong("predict model.onnx photos", "'tfl-transfer[export]'. Received: no onnxruntime.", ("onnxruntime",)),
    Wrong("serve nowhere", "`model` must be a finished workdir or an exported model. Received: 'nowhere'"),
    Wrong("serve nowhere --model=nowhere", "`model` must be given once."),
    Wrong("serve runs/busy", "`model` must be a finished run."),
    Wrong("serve runs/done --port=99999", "`port` must be between 0 and 65535."),
    Wrong("export nowhere", "`workdir` must be the folder of a run."),
    Wrong("export runs/done --formats=onnx", "without tf2onnx. Did you mean to run pip install", ("tf2onnx",)),
    Wrong("export runs/done --formats=keras --quantize=int8", "`quantize` must be 'none' without the format litert"),
    Wrong("export runs/done --tolerance=-1", "`tolerance` must be at least 0."),
    Wrong("export runs/done --output=setup.py", "`output` must be a folder."),
    Wrong("export runs/done --verify", "which has no certified export."),
)  # fmt: skip
WRONG = (*FIRST_TEN, *COMMAND, *SOURCE, *OPTION, *WORKDIR, *MODEL)

_DOT = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")  # a GIF of one pixel
_SCORES = {"num_examples": 3, "loss": 0.5, "accuracy": 1.0}
_METRICS = {
    "test": _SCORES,
    "validation": _SCORES,
    "kept": "probe",
    "num_examples": {"train": 6, "validation": 3, "test": 3},
    "phases": {"probe": {"l2": 0.1, "validation": _SCORES}},
    "contract": {},
}


def write_home(home: Path) -> None:
    """Write the files that the commands name into an empty folder; the models in it are not complete."""
    for name in ("photos/ants", "photos/bees", "flat", "empty"):
        (home / name).mkdir(parents=True)
    for name in ("photos/ants", "photos/bees", "flat"):
        for number in range(3):
            (home / name / f"{number}.gif").write_bytes(_DOT)
    (home / "configs").mkdir()
    shutil.copy(recipes()["folder"], home / "configs")
    (home / "setup.py").touch()
    (home / "labels.csv").write_text("colour,size\nred,3\n", "utf-8")
    (home / "labels.parquet").touch()
    _write_records(home)
    (home / "model.onnx").write_bytes(b"tfl.json")
    (home / "other.onnx").write_bytes(b"a model")
    (home / "cut.tflite").write_bytes(b"TFL3")
    (home / "cut.safetensors").write_bytes(b"\x40\0\0\0\0\0\0\0{")
    _write_run(home / "runs" / "done")
    for name in ("config", "metrics", "model", "evaluation", "splits"):
        place = home / "runs" / (f"no_{name}" if name == "splits" else f"cut_{name}")
        shutil.copytree(home / "runs" / "done", place)
        (file,) = place.glob(f"{name}.*")
        file.unlink()
        if name != "splits":
            file.write_bytes(b'{"seed": ')
    shutil.copytree(home / "runs" / "done", home / "runs" / "busy")
    (home / "runs" / "busy" / "metrics.json").unlink()
    (home / "runs" / "done" / "metrics.json").touch()  # the newest


def _write_records(home: Path) -> None:
    """Write one record of sounds, and a conversion that is not finished."""
    record = serialize_example({"sound": [b"RIFF"], "label": [1]})
    head = len(record).to_bytes(8, "little")
    content = (
        head + masked_checksum(head).to_bytes(4, "little") + record + masked_checksum(record).to_bytes(4, "little")
    )
    (home / "sound.tfrecord").write_bytes(content)
    (home / "half").mkdir()
    (home / "half" / "data-00000-of-00002.tfrecord").write_bytes(content)
    Manifest("tfrecord", "a plan", complete=False, shards=()).write(home / "half")


def _write_run(run: Path) -> None:
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(load_recipe("folder", "digits").to_dict()), "utf-8")
    (run / "metrics.json").write_text(json.dumps(_METRICS), "utf-8")
    (run / "evaluation.json").write_text("{}", "utf-8")
    (run / "predictions.csv").write_text("id,label,predicted,p_a,p_b\n1,a,a,0.9,0.1\n", "utf-8")
    (run / "splits.csv").write_text("id,path,label,split,sha256\n1,,a,test,0\n", "utf-8")
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("tfl.json", "{}")


@contextlib.contextmanager
def busy_run(home: Path) -> Iterator[None]:
    """Hold the lock of the run that is busy."""
    with lock_file(home / "runs" / "busy" / ".lock"):
        yield
