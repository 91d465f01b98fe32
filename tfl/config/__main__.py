"""Write the page of all options: `python -m tfl.config > docs/reference/options.md`."""

import sys

from tfl.config.listing import options_page

sys.stdout.write(options_page())
