"""Jobs over the workers of a Dask cluster, which schedules them and replaces lost workers."""
