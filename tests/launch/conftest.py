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
