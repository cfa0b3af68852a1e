"""Robots: one module per arm, their options in `configs.py`."""
