"""Teleoperators: one module per device, their options in `configs.py`."""
