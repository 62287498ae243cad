"""What start.sh hands over to, as `python -I action/__main__.py`: nothing but this checkout is on the import path."""

from __future__ import annotations

import os
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

if __name__ == "__main__":
    sys.path.insert(0, CHECKOUT)
    from action.main import main

    sys.exit(main(os.environ, checkout=CHECKOUT))
