"""Make the pictures of the service's page for the documentation: `docs/images/page.png`, `page_dark`, `page_phone`.

PYTHONPATH=.:tests python tests/serving/page_pictures.py RUN FOLDER FILE ...
"""

import sys
import tempfile
from pathlib import Path

from page_trial import browse, trial
from PIL import Image

from tfl.serving import ServeOptions

DARK = "--blink-settings=preferredColorScheme=0"
PICTURES = {"page": (900, 1080, ()), "page_dark": (900, 1080, (DARK,)), "page_phone": (390, 1080, ())}
LEAST_WIDTH = 500  # of a window of the browser
COLOURS = 256


def main(run: str, folder: str, *files: str) -> None:
    """Serve a run, give its page the files, and write the pictures to a folder."""
    given = [(Path(file).name, Path(file).read_bytes()) for file in files]
    with trial(ServeOptions(run), given) as address, tempfile.TemporaryDirectory() as place:
        for name, (width, height, options) in PICTURES.items():
            picture = Path(place) / f"{name}.png"
            window = (f"--screenshot={picture}", f"--window-size={max(width, LEAST_WIDTH)},{height}", *options)
            browse(f"{address}?width={width}", Path(place) / name, *window)
            output = Path(folder) / picture.name
            whole = Image.open(picture).convert("RGB")
            whole.crop((0, 0, width, height)).quantize(COLOURS).save(output, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
