"""All attacks, by name."""

from tests.fuzz.attack import Attack
from tests.fuzz.commands import Commands
from tests.fuzz.names import Names
from tests.fuzz.readers import READERS

ATTACKS: dict[str, Attack] = {attack.name: attack for attack in (*READERS, Names(), Commands())}
