"""What a row of a method without training ran as: its preset and options, such as a reduced size, stand in its note."""

from bench.report.scores import scored
from bench.report.table.writers import to_csv
from tests.report.conftest import parameters


def noted(measured, papers, **variant):
    """The note of Table 1's row of a variant called triangle-merge."""
    variants = {**parameters().model_dump()["variants"], "triangle-merge": variant}
    params = parameters(variants=variants)
    found = measured()
    table = scored.table(papers[1], type(found)(params, found.results, found.cards))
    return next(row.note for row in table.rows if row.cells["method"] == "triangle-merge"), to_csv(table)


def test_the_size_that_sen_was_solved_at_is_printed_in_its_row(measured, papers):
    note, text = noted(measured, papers, method="sen2012", preset="normal", options={"max_side": 512})
    assert "Sen (re-implementation): preset normal, max_side 512" in note
    assert note in text


def test_a_method_without_presets_and_options_needs_no_note(measured, papers):
    note, _ = noted(measured, papers, method="triangle-merge", preset="none")
    assert "preset" not in note
