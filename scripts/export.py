"""Export a finished run to one or more formats, and compare each exported file with the trained model.

python scripts/export.py --workdir=runs/photos --formats=saved_model,litert,onnx,keras
python scripts/export.py --workdir=runs/photos --formats=litert --quantize=int8
python scripts/export.py --workdir=runs/photos --verify
"""

from tfl.commands import export

if __name__ == "__main__":
    export.run()
