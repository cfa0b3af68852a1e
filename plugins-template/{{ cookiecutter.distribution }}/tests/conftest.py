"""A temporary home for every test, a check for threads left behind, and the fixture `host`."""

pytest_plugins = ["lerobot_core.testing.fixtures"]
