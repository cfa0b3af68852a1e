"""Good parts broken on purpose, as people break them: every one must be noticed by the suite of its role."""
