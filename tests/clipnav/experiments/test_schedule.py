"""The order of the steps of an experiment and of those that it requires, and their locks."""

import pytest

from clipnav.experiments.schedule import Schedule
from clipnav.experiments.steps import Step
from clipnav.storage.locks import OutputInUseError, lock_path


@pytest.fixture
def steps(tmp_path) -> list[Step]:
    def step(experiment: str, *words: str) -> Step:
        folder = tmp_path / experiment
        return Step(experiment, folder, [*words, "--output", str(folder / words[0])])

    pretrained = str(tmp_path / "first" / "pretrain")
    return [
        step("first", "pretrain"),
        step("second", "untrained"),
        step("second", "finetune", pretrained),
        step("second", "scratch", str(tmp_path / "second" / "untrained")),
    ]


def test_steps_start_as_soon_as_those_that_they_wait_for_have_ended(steps):
    pretrain, untrained, finetune, scratch = steps
    with Schedule(steps) as schedule:
        assert [schedule.take() for _ in range(3)] == [pretrain, untrained, None]
        schedule.end(untrained)
        assert [schedule.take(), schedule.take()] == [scratch, None]
        assert len(schedule) == 1
        schedule.end(pretrain)
        assert [schedule.take(), schedule.take()] == [finetune, None]
        assert not len(schedule)


def test_a_folder_is_locked_until_its_last_step_has_ended(steps, locked_elsewhere):
    with Schedule(steps) as schedule:
        first, second = (lock_path(steps[k].folder) for k in (0, 1))
        for _ in range(2):
            schedule.take()
        assert first.exists()
        schedule.end(steps[0])
        assert not first.exists()
        assert second.exists()
    assert not second.exists()
    with (
        locked_elsewhere(steps[1].folder),
        pytest.raises(OutputInUseError, match="second: process"),
        Schedule(steps),
    ):
        pass
    assert not first.exists()
