"""Motor buses: one folder per vendor, its facts in `tables.py`, its bus in `bus.py`."""
