"""Datasets in the formats v2.0 and v2.1: read in place, or converted to v3.0."""
