from pathlib import Path

import pytest

from clipnav.training.streams import Stream, iteration_seed, rank_iteration_seed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["agents", "encoders", "training", "vl_tasks"])
def test_purposes_have_streams_of_the_table(package):
    files = [
        path
        for path in (ROOT / package).rglob("*.py")
        if path.name != "streams.py" and path.parent.name != "house_tasks"
    ]
    assert files
    assert not [str(path) for path in files if "default_rng([" in path.read_text("utf-8")]


def test_streams_are_independent():
    firsts = {int(stream.rng(0).integers(2**63)) for stream in Stream}
    assert len(firsts) == len(Stream)
    assert len({iteration_seed(0, stream, 3) for stream in Stream}) == len(Stream)
    ranks = {rank_iteration_seed(0, Stream.AGENT_NOISE, 3, rank) for rank in range(4)}
    assert len(ranks) == 4
