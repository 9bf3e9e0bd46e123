"""The same pipeline on many workers: ready stages of the one `dvc.yaml` as jobs."""
