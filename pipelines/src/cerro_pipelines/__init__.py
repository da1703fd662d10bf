"""Exposures in, catalogues and coadds out: PipelineTasks, and the simulated survey."""
