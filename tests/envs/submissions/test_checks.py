import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipnav.envs.episodes import load_episodes
from clipnav.envs.episodes.episode import without_turns
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.submissions.checks import check_submission
from clipnav.envs.worlds import world_files

FILE = Path("walks.json")


@pytest.fixture(scope="module")
def files(tiny_world):
    return world_files("matterport", tiny_world)


@pytest.fixture(scope="module")
def episodes(files):
    return load_episodes("r2r", "train", files)


@pytest.fixture(scope="module")
def graphs(files):
    return {scan: NavGraph.load(scan, files.connectivity_dir) for scan in ("attic", "barn")}


@pytest.fixture
def whole(episodes, graphs):
    """Records of a complete file with poses along the shortest paths."""
    walks = {e.instr_id: graphs[e.scan].shortest_path(e.path[0], e.path[-1]) for e in episodes}
    return [
        {"instr_id": instr_id, "trajectory": [[v, 0.5, 0.0] for v in walk]}
        for instr_id, walk in walks.items()
    ]


@pytest.fixture(scope="module")
def check(graphs, episodes):
    def checked(records, among=episodes, counted=None):
        return check_submission(FILE, records, among, graphs, counted)

    return checked


def cases_of(checked):
    """Return the cases of each finding by the first words of its kind."""
    return {f.kind.partition(" (")[0]: f.cases for f in checked.findings}


def test_a_complete_file_has_no_findings(check, whole):
    checked = check(whole)
    assert checked.findings == []
    assert not checked.faulty
    assert checked.expected == checked.records == len(whole)
    assert checked.trajectories == {
        record["instr_id"]: tuple(pose[0] for pose in record["trajectory"]) for record in whole
    }


@pytest.mark.parametrize(
    "trajectory",
    [
        [["a0", 0.1, 0], ["a1", 0.2, 0.5], ["a2", 3, -0.5]],  # MatterSim, EnvDrop, HAMT
        ["a0", "a1", "a2"],  # the server of RxR
        [["a0"], ["a1", "a2"]],  # DUET
        [["a0"], [], ["a1"], ["a2"]],
        [[["a0", 0.1, 0]], [["a1", 0, 0], ["a2", 0, 0]]],
    ],
)
@pytest.mark.parametrize("field", ["trajectory", "path"])
def test_all_formats_of_a_path_are_read(check, trajectory, field):
    checked = check([{"instr_id": "100_0", field: trajectory}])
    assert checked.trajectories == {"100_0": ("a0", "a1", "a2")}


def test_all_spellings_of_an_rxr_id_are_read(check, files):
    episodes = load_episodes("rxr", "train", files)
    numbers = [int(e.instr_id) for e in episodes[:4]]
    path_ids = [e.path_id for e in episodes[:4]]
    records = [
        {"instruction_id": numbers[0], "path": list(episodes[0].path)},  # the server
        {"instr_id": numbers[1], "path_id": path_ids[1], "trajectory": list(episodes[1].path)},
        {"instr_id": str(numbers[2]), "trajectory": list(episodes[2].path)},
        {"instr_id": f"{path_ids[3]}_{numbers[3]}", "trajectory": list(episodes[3].path)},  # HAMT
    ]
    checked = check(records, episodes)
    assert checked.trajectories == {e.instr_id: e.path for e in episodes[:4]}
    assert list(cases_of(checked)) == ["instructions without a path"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "expected an object but found 3"),
        ({"trajectory": ["a0"]}, "no field 'instr_id' or 'instruction_id'"),
        ({"instr_id": True, "path": ["a0"]}, "neither a string nor an integer"),
        ({"instr_id": "100_0", "steps": []}, "no field 'trajectory' or 'path'.*'steps'"),
        ({"instr_id": "100_0", "path": "a0"}, "100_0.*'a0', which is not a list"),
        ({"instr_id": "100_0", "path": ["a0", 1]}, "100_0.*1 is neither"),
        ({"instr_id": "100_0", "path": [["a0", {}]]}, "{} is neither"),
        ({"instr_id": "100_0", "path": [[1.0, 2.0, 0.1]]}, "100_0.*RxR-Habitat"),
        ({"instr_id": "100_0", "path": [[[[["a0"]]]]]}, "100_0.*is neither"),
    ],
)
def test_findings_name_records_that_cannot_be_read(check, whole, record, message):
    checked = check([*whole, record])
    assert checked.faulty
    (cases,) = cases_of(checked).values()
    assert len(cases) == 1
    assert cases[0].startswith(f"record {len(whole)}: ")
    assert re.search(message, cases[0])


@pytest.mark.parametrize(
    "trajectory",
    [{"path": "a" * 9999}, {"steps" * 99: 1}, [{"path": [{"x": ["y" * 60] * 9}] * 9}], "z" * 9999],
)
def test_a_finding_quotes_a_part_of_a_record(check, trajectory):
    (finding,) = check([{"instr_id": "100_0" * 99, "trajectory": trajectory}] * 9, ()).findings
    assert all(len(case) < 300 for case in finding.cases)
    assert len(str(finding)) < 600
    assert "more)" in str(finding)


def test_missing_repeated_and_foreign_instructions_are_faults(check, whole):
    records = list(whole)
    gone = records.pop(5)
    other = {**records[2], "trajectory": records[2]["trajectory"][:1]}
    checked = check([*records, records[1], other, {"instr_id": "9_9", "path": ["b0"]}])
    count = len(records)
    assert cases_of(checked) == {
        "records of instructions outside the split": [f"record {count + 2}: '9_9'"],
        "repeated records of an instruction": [
            f"record {count}: {records[1]['instr_id']} with the same path",
            f"record {count + 1}: {other['instr_id']} with another path",
        ],
        "instructions without a path": [gone["instr_id"]],
    }
    assert checked.faulty
    first = tuple(pose[0] for pose in records[2]["trajectory"])
    assert checked.trajectories[other["instr_id"]] == first


EXTRA = {"instr_id": "9_9", "path": ["a0"]}


@pytest.mark.parametrize(
    ("first", "extra", "kind", "is_fault"),
    [
        (None, [], "instructions without a path", True),
        ("same", [EXTRA], "records of instructions outside the split", True),
        ("same", [{**EXTRA, "instr_id": "100"}], "records of instructions outside", True),
        ("same", [3], "records that cannot be read", True),
        ("twice", [], "repeated records of an instruction", True),
        ([], [], "empty paths", True),
        (["b0", "b1"], [], "paths with viewpoints that their scan lacks", True),  # another scan
        (["a0", "a9"], [], "paths with viewpoints that their scan lacks", True),
        (["a1", "a2"], [], "paths that do not begin at the start", True),
        (["a0", "a10"], [], "paths with steps between unconnected viewpoints", True),
        (["a0", "a8"], [], "steps without an edge", False),
        (["a0", "a0"], [], "paths that repeat a viewpoint", False),
    ],
)
def test_each_deviation_gives_one_finding(check, whole, first, extra, kind, is_fault):
    """Check a file that is complete except for one deviation at the instruction 100_0."""
    others = whole[1:]
    if first == "same":
        records = [*whole, *extra]
    elif first == "twice":
        records = [whole[0], *whole]
    elif first is None:
        records = others
    else:
        records = [{"instr_id": "100_0", "path": first}, *others]
    checked = check(records)
    (finding,) = checked.findings
    assert finding.kind.startswith(kind)
    assert len(finding.cases) == 1
    assert finding.fault is checked.faulty is is_fault
    is_scored = not is_fault or first in ("same", "twice")
    assert ("100_0" in checked.trajectories) is is_scored


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_without_turns_removes_only_repetitions(path):
    straight = without_turns(path)
    assert all(start != end for start, end in pairwise(straight))
    assert without_turns(straight) == straight
    rest = iter(path)
    assert all(viewpoint in rest for viewpoint in straight)  # a subsequence
    assert set(straight) == set(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["100_0", "a0", "a1", "instr_id", "path"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["instr_id", "instruction_id", "path", "trajectory", "x"]), inner
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(records=st.lists(values, max_size=6))
def test_every_record_of_any_json_is_scored_or_reported(check, records):
    checked = check(records)
    named = {case.partition(":")[0] for f in checked.findings for case in f.cases}
    for number, record in enumerate(records):
        if f"record {number}" not in named:
            instr_id = record.get("instr_id", record.get("instruction_id"))
            assert instr_id in checked.trajectories or instr_id in named
