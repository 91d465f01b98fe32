"""Packaging of tfl; tool settings stand in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

VERSION: dict[str, str] = {}
exec(Path(__file__).with_name("tfl").joinpath("version.py").read_text(encoding="utf-8"), VERSION)
FAST_CPU = ["openvino>=2026.4"]
PARQUET = ["pyarrow>=20.0"]
EXPORT = ["ai-edge-litert>=2.3", "onnx>=1.23", "onnxruntime>=1.32", "tf2onnx>=1.17"]
SERVE = ["fastapi>=0.115", "uvicorn>=0.34", "prometheus_client>=0.21", "python-multipart>=0.0.20"]
PHOTOS = ["pillow-heif>=1.1"]
TEST = ["pytest>=9.0", "pytest-xdist>=3.8", "hypothesis>=6.150", "httpx>=0.28", "pandas>=2.3"]
EXTRAS = [*FAST_CPU, *PARQUET, *EXPORT, *SERVE, *PHOTOS]

setup(
    name="tfl",
    version=VERSION["VERSION"],
    description="Transfer learning with Keras, from a folder of photos to a classifier that you can trust and ship.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["tfl", "tfl.*"]),
    package_data={"tfl.report": ["templates/*"], "tfl.serving": ["templates/*"]},
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
        "parquet": PARQUET,  # scripts/extract_features.py --format=parquet
        "export": EXPORT,  # scripts/export.py --formats=litert,onnx
        "serve": SERVE,  # scripts/serve.py
        "photos": PHOTOS,  # HEIC
        "test": [*TEST, *EXTRAS],
        "dev": [
            *TEST,
            *EXTRAS,
            "ruff>=0.14",
            "pyright[nodejs]>=1.1.400",
            "pre-commit>=4.0",
        ],
    },
)
