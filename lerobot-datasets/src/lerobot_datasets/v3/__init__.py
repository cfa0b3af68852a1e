"""LeRobotDataset v3.0 on disk: parquet tables, mp4 videos and their metadata. numpy, no torch."""
