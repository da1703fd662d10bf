"""The pipelines' tasks: Butler datasets in, Butler datasets out; the work is done by the packages beside."""
