import pytest

from tests.launch.tiny import Project, write_project
from tests.shared import shared


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    return shared(tmp_path_factory, "template", lambda folder: write_project(folder / "tiny")) / "tiny"


@pytest.fixture
def project(template, tmp_path):
    return Project.copied(template, tmp_path)


@pytest.fixture(scope="session")
def reproduced(template, tmp_path_factory):
    """A project after `dvc repro`, to be copied or read."""

    def make(folder):
        code, output = Project.copied(template, folder).repro()
        assert code == 0, output

    root = shared(tmp_path_factory, "reproduced", make) / "tiny"
    return Project(root, tmp_path_factory.mktemp("serial") / "control")


@pytest.fixture
def made(reproduced, tmp_path):
    """A project of one's own after `dvc repro`."""
    return Project.copied(reproduced.root, tmp_path)
