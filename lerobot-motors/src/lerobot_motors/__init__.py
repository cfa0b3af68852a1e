"""Robots, teleoperators, motor buses, cameras and emulators."""

__version__ = "0.1.0"
