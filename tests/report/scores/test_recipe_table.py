"""The table of recipes: what rows were trained with, beside their cards."""

import pytest

from bench.core.recipe import published
from bench.core.registry import methods
from bench.report.scores import recipes
from bench.report.table.writers import to_csv, to_markdown


@pytest.fixture
def table(measured):
    """The recipes of the invented profile."""
    return recipes.table(measured())


def lines(table, kind):
    return {row.cells["variant"]: row for row in table.rows if str(row.cells["recipe"]).startswith(kind)}


def test_cards_with_a_cut_a_schedule_or_a_clip_of_their_own_are_told_in_words():
    told = {name: recipes._printed(published(methods[name])) for name in ("afunet", "hdr-gan", "ahdrnet", "cavit")}
    assert (told["afunet"]["schedule"], told["afunet"]["turned"]) == ("half a cosine to 5e-06", "a flip, half the time")
    assert told["afunet"]["stride"] == "anywhere, 100 a scene and epoch"
    assert (told["hdr-gan"]["clip"], told["hdr-gan"]["length"]) == ("1 (value)", None)
    assert told["ahdrnet"]["schedule"] == "x 0.1 every 0.8 of the length"
    assert (told["cavit"]["stride"], told["cavit"]["turned"]) == ("64", "nothing")


def test_lines_as_published_say_what_differs_and_how_scores_were_chosen(table):
    found = lines(table, "as published")
    assert found
    for variant, row in found.items():
        recipe, notes = published(methods[variant.partition(":")[0]]), " ".join(row.notes)
        assert (recipes.BEST_EPOCH in notes) == recipe.best_epoch and recipe.differs in notes
        assert ("users got" in notes) == (recipe.users is not None)


def test_every_way_to_start_and_to_turn_has_words(table):
    fields = {name for card in methods.values() if (found := published(card)) for name in [found.initialisation]}
    assert fields - {""} <= recipes.INITIALISATIONS.keys()
    assert to_csv(table) and to_markdown(table)
