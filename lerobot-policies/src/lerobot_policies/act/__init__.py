"""ACT: a transformer that predicts a chunk of actions at once (arXiv 2304.13705)."""
