"""Predict the classes of photos: CSV with path, class, probability and the five most probable classes.

The model is a finished run, or an export of it from scripts/export.py: .keras, .tflite, .onnx or a SavedModel folder.

python scripts/predict.py --model=runs/photos holiday.jpg more_photos/
python scripts/predict.py --model=runs/photos/export/model.tflite --output=predictions.csv more_photos/
"""

from tfl.commands import predict

if __name__ == "__main__":
    predict.run()
