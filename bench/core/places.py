"""Which place a scene shows, told by its name: views of one place aren't independent, and aren't trained and tested on.

One definition for all: who splits scenes and who draws them must mean the same places.
"""

import re

CAMERAS = (
    "IMG", "MVIMG", "IMGP", "CIMG", "KIMG", "MG", "DSC", "DSCN", "DSCF", "DSCI", "PICT", "PXL", "DJI", "GOPR", "P",
)  # fmt: skip
"""Words that cameras and telephones put before their counter: IMG_0042, _MG_0042, DSCF0042, P1010042."""

_TIME = r"(?:19|20)\d{6}[-_]\d{6,9}"
_OTHERS = r"[LR]\d{7}|\d{3}A\d{4}|[A-Z]{2}\dA\d{4}"  # Leica, Ricoh; Canon's 262A0898 and BB5A0898
_COUNTER = re.compile(rf"_?(?:{'|'.join(CAMERAS)})[-_]?(?:\d+|{_TIME})|{_TIME}|{_OTHERS}", re.IGNORECASE)


def place(scene: str) -> str:
    """Return the place that a scene shows: its name without the trailing number that tells views apart.

    A name that is only a number is its own place: "courtyard-03" gives "courtyard", "007" gives "007". Behind two
    hyphens stands how a view was taken, in sets that take one several times: "courtyard-03--speed-2" is "courtyard".
    """
    view = scene.partition("--")[0] or scene
    return re.sub(r"[-_]?\d+$", "", view) or view


def is_counted(scene: str) -> bool:
    """Tell whether a camera gave a scene its name, by counting or by the time: such a name says nothing of a place."""
    return bool(_COUNTER.fullmatch(scene.partition("--")[0]))
