import numpy as np
import pytest

from clipnav.envs.metrics import score_path, score_paths, summarise, summarise_groups


def test_summaries_are_means_per_group(attic):
    scores = [score_path(attic, ["a0"], ["a0", goal]) for goal in ("a1", "a2", "a4", "a8")]
    summary = summarise(scores)
    assert summary["NE"] == pytest.approx(np.mean([s["nav_error"] for s in scores]))
    assert summary["episodes"] == 4
    assert set(summary) >= {"TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW"}
    groups = summarise_groups(scores, ["hi", "en", "hi", "en"])
    assert list(groups) == ["en", "hi"]
    assert groups["hi"] == summarise(scores[::2])
    with pytest.raises(ValueError, match="no episode"):
        summarise([])


def test_columns_and_rows_have_the_same_summary(attic):
    references = [["a0", goal] for goal in ("a1", "a2", "a4", "a8")]
    columns = score_paths(attic, [["a0", "a1"]] * 4, references)
    rows = [score_path(attic, ["a0", "a1"], reference) for reference in references]
    assert summarise(columns) == pytest.approx(summarise(rows))
    groups = ["val_seen", "val_unseen", "val_seen", "val_seen"]
    by_column, by_row = summarise_groups(columns, groups), summarise_groups(rows, groups)
    assert by_column.keys() == by_row.keys()
    for group, summary in by_column.items():
        assert summary == pytest.approx(by_row[group])
    with pytest.raises(ValueError, match="3 groups for 4 paths"):
        summarise_groups(columns, groups[1:])
