"""Data files for boxes: `$BOX_LIB` and `$BOX_LIB_PY`. Nothing here is imported by the runner."""
