from bench.launch.job import Event, EventReader, report


def test_events_are_read_once_and_in_order(tmp_path):
    path = tmp_path / "events" / "a.jsonl"
    reader = EventReader(path)
    report(path, Event("started", process=7))
    report(path, Event("failed", "train@a", code=3, note="no\nmemory", transient=True))
    first, second = reader.new()
    assert (first.kind, first.process) == ("started", 7)
    assert (second.stage, second.code, second.note, second.transient) == ("train@a", 3, "no\nmemory", True)
    assert 0 < first.time <= second.time
    report(path, Event("ended"))
    assert [event.kind for event in reader.new()] == ["ended"]
    assert not [*reader.new()]


def test_half_a_line_waits_for_its_end(tmp_path):
    path = tmp_path / "a.jsonl"
    reader = EventReader(path)
    assert not [*reader.new()]
    path.write_text('{"kind": "done", ')
    assert not [*reader.new()]
    with path.open("a") as file:
        file.write('"stage": "x"}\n')
    assert [event.stage for event in reader.new()] == ["x"]
