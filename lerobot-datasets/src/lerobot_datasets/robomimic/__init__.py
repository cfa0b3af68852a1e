"""robomimic's HDF5 files, read as datasets. Source of the layout: robomimic documentation, "Datasets: overview"."""
