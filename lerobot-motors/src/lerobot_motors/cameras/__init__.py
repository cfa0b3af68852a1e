"""Cameras: one module per type, its options in `configs.py`."""
