"""The verbs of the pipeline: each reads and writes files, and leaves arithmetic to the layers below."""
