import io

import pytest
from tqdm import tqdm

from clipnav.storage.progress import ProgressLines, progress_bar


class Clock:
    """Clock that the test sets."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def run(clock, seconds, **options):
    """Return the lines of an operation of ten updates that take `seconds` each."""
    file = io.StringIO()
    lines = ProgressLines(total=10, desc="built", unit="houses", file=file, clock=clock, **options)
    with lines:
        for _ in range(10):
            clock.now += seconds
            lines.update()
    return file.getvalue().splitlines()


def test_there_is_one_line_per_minute_and_one_at_the_end(clock):
    assert run(clock, 25) == [
        "built: 30%, 3/10 houses, 01:15 elapsed, 02:55 left",
        "built: 60%, 6/10 houses, 02:30 elapsed, 01:40 left",
        "built: 90%, 9/10 houses, 03:45 elapsed, 00:25 left",
        "built: 100%, 10/10 houses, 04:10 elapsed",
    ]


def test_the_remaining_time_ignores_the_work_of_an_earlier_run(clock):
    file = io.StringIO()
    lines = ProgressLines(
        total=1000, initial=500, desc="training", unit=None, file=file, clock=clock
    )
    clock.now += 60
    lines.set_postfix_str("700 it, loss 0.250", refresh=False)
    lines.update(100)
    assert file.getvalue() == "training: 60%, 700 it, loss 0.250, 01:00 elapsed, 04:00 left\n"


def test_counts_without_a_total_have_neither_share_nor_remaining_time(clock):
    file = io.StringIO()
    with ProgressLines(desc="a.zip", unit="B", unit_scale=True, file=file, clock=clock) as lines:
        lines.update(1_500_000)
    assert file.getvalue() == "a.zip: 1.50M B, 00:00 elapsed\n"


@pytest.mark.parametrize("unit", ["houses", None])
def test_a_bar_on_a_terminal_stays_on_one_line(unit):
    file = Terminal()
    with progress_bar(total=3, desc="houses", unit=unit, file=file, mininterval=0) as bar:
        for _ in range(3):
            bar.update()
    assert isinstance(bar, tqdm)
    assert file.getvalue().count("\n") == 1
    assert file.getvalue().count("\r") > 3
    assert "100%" in file.getvalue()
