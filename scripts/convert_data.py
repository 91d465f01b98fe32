"""Write the examples of a source into TFRecord or ArrayRecord files, with their labels and splits.

python scripts/convert_data.py --config=configs/folder.py --config.data.source=folder:PATH --output=records
"""

from tfl.commands import convert

if __name__ == "__main__":
    convert.run()
