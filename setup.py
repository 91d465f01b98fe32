"""Packaging of tfl; tool settings stand in pyproject.toml."""

from pathlib import Path
from typing import Any

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION: dict[str, Any] = {}
exec((ROOT / "tfl" / "version.py").read_text(encoding="utf-8"), VERSION)
FAST_CPU = ["openvino>=2026.4"]
PARQUET = ["pyarrow>=20.0"]
EXPORT = ["ai-edge-litert>=2.3", "onnx>=1.23", "onnxruntime>=1.32", "tf2onnx>=1.17"]
SERVE = ["fastapi>=0.115", "uvicorn>=0.34", "prometheus_client>=0.21", "python-multipart>=0.0.20"]
PHOTOS = ["pillow-heif>=1.1"]
BANDS = ["tifffile>=2025.1", "imagecodecs>=2025.1"]
TEXT = ["safetensors>=0.5"]
AUDIO = ["soundfile>=0.13"]
DOCS = ["mkdocs-material>=9.6"]
TEST = [
    "setuptools>=77",
    "nbclient>=0.10",
    "ipykernel>=6.29",
    "pytest>=9.0",
    "pytest-xdist>=3.8",
    "hypothesis>=6.150",
    "httpx>=0.28",
    "pandas>=2.3",
    "tokenizers>=0.22",  # the reference of tfl's own word pieces
    "pycocotools>=2.0.11",  # what the metrics of boxes are compared with
]
MLFLOW = ["mlflow-skinny>=3", "pandas>=2.3"]  # the flavour of Keras models needs pandas
AUDIT = ["cleanlab>=2.9", "usearch>=2.26"]  # label errors; neighbours in large sets
SEARCH = ["optuna>=5.0"]
DETECTION = ["faster-coco-eval>=1.8,<2"]  # average precision of boxes
LABEL = ["scikit-activeml>=1.0"]  # which examples to label next
TORCH = ["safetensors>=0.5"]  # files of torch weights; .pth files need torch, too
EXTRAS = [
    *(*AUDIT, *BANDS, *FAST_CPU, *PARQUET, *EXPORT, *SERVE, *PHOTOS),
    *(*MLFLOW, *SEARCH, *LABEL, *DETECTION, *TEXT, *AUDIO, *TORCH),
]

setup(
    name=VERSION["DISTRIBUTION"],
    version=VERSION["VERSION"],
    description="Transfer learning with Keras, from a folder of photos to a classifier that you can trust and ship.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The authors of tfl",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["transfer learning", "fine-tuning", "image classification", "Keras", "TensorFlow"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=[*find_packages(include=["tfl", "tfl.*"]), "tfl.configs"],
    package_dir={"tfl.configs": "configs"},  # without a checkout the command finds the recipes inside the package
    package_data={
        "tfl": ["py.typed"],
        "tfl.inputs.text": ["characters.json", "byte_classes.json"],
        "tfl.report": ["templates/*"],
        "tfl.serving": ["templates/*"],
    },
    entry_points={"console_scripts": ["tfl = tfl.__main__:main"]},
    install_requires=[
        "tensorflow>=2.21",
        "keras>=3.15.1",
        "tensorflow-datasets>=4.9.10",
        "importlib_resources>=6.0",  # tensorflow-datasets imports it without declaring it
        "absl-py>=2.3",
        "ml_collections>=1.1.0",
        "etils[epath,epy]>=1.13",
        "filelock>=4.3",  # locks where Python has no fcntl
        "numpy>=2.0",
        "scikit-learn>=1.7",
        "scipy>=1.15",
        "tensorboard>=2.20",  # TensorFlow 2.21 no longer brings it
        "ml_dtypes>=0.5",
        "threadpoolctl>=3.5",
        "pillow>=11.3",  # with a decoder of AVIF
        "simplejpeg>=1.8",  # the one that tells of libjpeg's warnings: whether a JPEG file is whole
        "Jinja2>=3.1",
        "jsonschema>=4.23",  # what the JSON files of a run must hold
        "tqdm>=4.67",
    ],
    extras_require={
        "fast-cpu": FAST_CPU,  # a second runtime for extracting features
        "parquet": PARQUET,  # tfl features --format=parquet
        "export": EXPORT,  # tfl export --formats=litert,onnx
        "serve": SERVE,  # tfl serve
        "photos": PHOTOS,  # HEIC
        "bands": BANDS,  # TIFF of more than three channels
        "docs": DOCS,  # make docs
        "audit": AUDIT,  # tfl audit
        "search": SEARCH,  # tfl search
        "torch": TORCH,  # backbone.name=torch:FILE
        "label": LABEL,  # tfl value --unlabelled
        "text": TEXT,  # --config.backbone.name=hf:FOLDER
        "audio": AUDIO,  # clips in FLAC, OGG and MP3
        "detection": DETECTION,  # metrics of boxes
        "mlflow": MLFLOW,  # --config.tracking=mlflow
        "test": [*TEST, *EXTRAS],
        "dev": [
            *TEST,
            *EXTRAS,
            *DOCS,
            "ruff>=0.17,<0.18",  # a new release adds rules, and would fail code that nobody changed
            "pyright[nodejs]==1.1.414",
            "pre-commit>=4.0",
        ],
    },
)
