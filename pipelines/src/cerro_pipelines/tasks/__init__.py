"""The tasks: Butler datasets in, Butler datasets out; the packages beside do the work."""
