"""Many runs of one scenario: a grid of settings times seeds, on all processors or a Dask cluster, with statistics.

Results are the same whatever the order, the number of workers or the machine. May import scenario and below; only the
command line imports it.
"""
