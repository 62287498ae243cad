"""What the boxes share; `from support import box` gives the runner's assertions ($BOX_LIB_PY, loaded by its path)."""

import importlib.util
import os

_spec = importlib.util.spec_from_file_location("box", os.environ["BOX_LIB_PY"])
box = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(box)
