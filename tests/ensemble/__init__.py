"""Tests of the weighted ensembles: the search for weights, the metadata, the members."""
