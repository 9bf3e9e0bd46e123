"""Every public function and class of what the wheel holds has an example in its docstring, and it runs."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

from bench.metrics import functional, hdrvdp2, hdrvdp3

MODULES = [f"{functional.__name__}.{info.name}" for info in pkgutil.iter_modules(functional.__path__)]
PUBLIC = [
    (module, name)
    for module in MODULES
    for name, member in vars(importlib.import_module(module)).items()
    if (inspect.isfunction(member) or inspect.isclass(member)) and member.__module__ == module and name[0] != "_"
]
PUBLIC += [(package.__name__, name) for package in (hdrvdp2, hdrvdp3) for name in package.__all__]


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda text: text.removeprefix("bench.metrics."))
def test_the_example_runs(module, name):
    member = getattr(importlib.import_module(module), name)
    found = doctest.DocTestFinder(recurse=False).find(
        member, name, globs=dict(vars(importlib.import_module(member.__module__)))
    )
    assert any(test.examples for test in found), "no example"
    assert all(doctest.DocTestRunner().run(test).failed == 0 for test in found)
