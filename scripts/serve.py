"""Let a model answer over HTTP, with the REST API of TensorFlow Serving and a web page for people.

The model is a finished run, or an export of it from scripts/export.py: .keras, .tflite, .onnx or a SavedModel folder.

python scripts/serve.py --model=runs/photos
python scripts/serve.py --model=runs/photos/export/model.tflite --port=8501 --name=photos
"""

from tfl.commands import serve

if __name__ == "__main__":
    serve.run()
