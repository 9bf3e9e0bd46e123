"""DVC's lock files: what each stage read, wrote and was told when it ran last."""

from collections.abc import Mapping
from typing import Any

import yaml

from bench.core.errors import UsageError


def stages(text: bytes, where: str) -> Mapping[str, Mapping[str, Any]]:
    """Return name -> cmd, deps, params and outs of each stage in a dvc.lock; UsageError if it isn't a whole one."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was compiled
    try:
        entries = yaml.load(text, Loader=loader)["stages"]
        if all(isinstance(entry, Mapping) for entry in entries.values()):
            return dict(entries)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        pass
    raise UsageError(
        f"{where} isn't a whole lock file of DVC: a kill while DVC writes it leaves it cut short. Restore it with git, "
        "or delete it: dvc repro then takes what it named from the cache."
    )
