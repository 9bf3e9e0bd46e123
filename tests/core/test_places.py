"""The place that a scene's name tells, and names that tell none."""

import pytest

from bench.core.places import is_counted, place


@pytest.mark.parametrize(
    ("scene", "shown"),
    [("kitchen-1", "kitchen"), ("kitchen_02", "kitchen"), ("kitchen2", "kitchen"), ("hall--take-2", "hall"),
     ("hall-3--take-2", "hall"), ("007", "007"), ("hall", "hall"), ("--a", "--a")],
)  # fmt: skip
def test_place(scene, shown):
    assert place(scene) == shown


COUNTED = ("IMG_0001", "img_1", "_MG_0042", "DSC_0001", "_DSC0001", "DSC00001", "DSCF0042", "P1010042", "DJI_0001",
           "PXL_20240131_123456789", "IMG_20240131_123456", "20240131_123456", "262A0898", "BB5A0898", "L1000042",
           "IMG-0001", "IMG_0001--take-2")  # fmt: skip


@pytest.mark.parametrize("scene", COUNTED)
def test_a_camera_s_counter_is_known(scene):
    assert is_counted(scene)


@pytest.mark.parametrize("scene", ["kitchen-1", "hall", "007", "IMG_hall_1", "IMG_0001-2", "park1", "DSC", "L1"])
def test_other_names_may_tell_a_place(scene):
    assert not is_counted(scene)
