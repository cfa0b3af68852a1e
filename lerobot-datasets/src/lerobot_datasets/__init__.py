"""LeRobotDataset reader, recorder and tools."""

__version__ = "0.1.0"
