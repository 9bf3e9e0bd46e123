import pytest

from tests.launch.tiny import Project, write_project


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template") / "tiny"
    write_project(folder)
    return folder


@pytest.fixture
def project(template, tmp_path):
    return Project.copied(template, tmp_path)


@pytest.fixture(scope="session")
def reproduced(template, tmp_path_factory):
    """A project after `dvc repro`, to be copied or read."""
    project = Project.copied(template, tmp_path_factory.mktemp("serial"))
    code, output = project.repro()
    assert code == 0, output
    return project


@pytest.fixture
def made(reproduced, tmp_path):
    """A project of one's own after `dvc repro`."""
    return Project.copied(reproduced.root, tmp_path)
