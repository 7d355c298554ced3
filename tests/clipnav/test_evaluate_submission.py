import json


def test_scores_a_file_and_ends_with_its_faults(command, tiny_world, tmp_path):
    walks = {"200_0": ["b0", "b1", "b2"], "200_1": ["b0"], "201_0": ["b3", "b1"]}
    records = [{"instr_id": name, "trajectory": walk} for name, walk in walks.items()]
    path, out = tmp_path / "walks.json", tmp_path / "new" / "scores.json"
    path.write_text(json.dumps(records))
    done = command(
        *("evaluate-submission", path, "--dataset", "r2r", "--splits", "val_unseen"),
        *("--world", "matterport"),
        *("--data-dir", tiny_world, "--resamples", 50, "--json", out),
    )
    assert done.returncode == 1, done.stderr
    assert "FAULT: instructions without a path: 5 (201_1; 202_0;" in done.stdout
    assert "note: steps without an edge" in done.stdout
    (outcome,) = json.loads(out.read_text())["submissions"]
    assert outcome["scored"] == 3
    assert outcome["summary"]["SR"] == 1 / 3
