"""Stands in for the lerobot package where that is not installed: the names a third party's robot needs, and no more."""
