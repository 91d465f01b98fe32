"""Endings of files that are not images, to find the folders of classes."""

OF_OTHER_FILES = {  # endings of files that are not images; a file without an ending may be one
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".md", ".rst", ".html", ".htm"),
    *(".pdf", ".doc", ".docx", ".xls", ".xlsx", ".mat", ".npy", ".npz", ".pkl", ".parquet", ".h5", ".hdf5", ".keras"),
    *(".pb", ".tflite", ".onnx", ".pt", ".pth", ".py", ".ipynb", ".r", ".m", ".sh", ".c", ".cpp", ".h", ".zip", ".gz"),
    *(".tar", ".tgz", ".7z", ".rar", ".log", ".cfg", ".ini", ".names", ".mp4", ".avi", ".mov", ".wav", ".mp3"),
}
