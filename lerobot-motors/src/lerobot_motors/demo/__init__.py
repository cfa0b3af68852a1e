"""The main job: a small visual reaching task on the emulated arm, from recording to a report."""
