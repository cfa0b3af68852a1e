"""A command whose module prints."""

from lerobot_core.testing.fakes.software import turns  # noqa: F401

print("thank you for installing toy turns")
