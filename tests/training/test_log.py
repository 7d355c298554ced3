from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.log import RunLog, read_log


def test_what_comes_after_a_run_is_taken_up_again_replaces_what_came_before(tmp_path):
    first = RunLog(tmp_path, 0)
    for iteration in (1, 2, 3, 4):
        first.write("val", iteration, {"SR": iteration / 8})
    first.close()
    again = RunLog(tmp_path, 2)
    again.write("val", 3, {"SR": 0.75})
    again.close()
    expected = [(1, 0.125), (2, 0.25), (3, 0.75)]
    assert [(one["iteration"], one["SR"]) for one in read_log(tmp_path)] == expected
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("val/SR")
    assert [(event.step, event.value) for event in events] == expected
