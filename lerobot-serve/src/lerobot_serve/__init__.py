"""Policy server and robot client over a network."""

__version__ = "0.1.0"
