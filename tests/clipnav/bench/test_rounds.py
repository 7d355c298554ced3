"""Three sealed rounds, played through with honest and cheating agents, in houses built at once."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from clipnav.bench import rounds
from clipnav.bench.entrants import RuleError, entrant_of
from clipnav.bench.results import read_checks, result_digest, run_suite, write_result
from clipnav.bench.rounds import round_suite, verify_in_round
from clipnav.storage.errors import UserError
from tests.clipnav.bench.conftest import HONEST, OPTIONS, lattice
from tests.conftest import ROOT

READER = """
from tests.clipnav.bench.agents import reads_the_teacher as make
"""
# Knows the paths of the houses that it was trained on by heart; turns at random elsewhere.
MEMORISER = """
import json
from pathlib import Path

import numpy as np

PATHS = json.loads(Path(__file__).with_name("paths.json").read_text())


class Memoriser:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def begin(self, observation, info, live):
        self.steps = 0

    def act(self, observation, info, live):
        self.steps += 1
        return np.array([self.choose(observation, info, row) for row in live])

    def choose(self, observation, info, row):
        path = PATHS.get(info["instruction"][row])
        options = list(info["candidates"][row])
        if path is None or info["viewpoint"][row] not in path:
            moves = np.flatnonzero(observation["action_mask"][row])
            return 0 if self.steps > 3 else self.rng.choice(moves)
        place = path.index(info["viewpoint"][row]) + 1
        return options.index(path[place]) if place < len(path) else 0


def make(task, seed):
    return Memoriser(seed)
"""


def known_paths(folder):
    world = round_suite(folder)[1].data_dir
    records = json.loads((world / "r2r" / "R2R_val_unseen.json").read_text())
    return {text: one["path"] for one in records for text in one["instructions"]}


def success(result):
    return result.parts["r2r/val_unseen"].figures["SR"].mean


def test_three_rounds(at_once, play, write_agent, run_command, tmp_path):
    honest = write_agent("honest", HONEST)
    first = play("first", [honest])
    out = tmp_path / "honest.json"
    run_command("bench", "run", "--round", first, "--agent", honest, "--output", out)
    assert "scored, 32 walks" in run_command("bench", "verify", out, "--round", first)

    # After the opening, an agent learns the revealed houses by heart. It cannot enter this round.
    memoriser = write_agent("memoriser", MEMORISER, paths=known_paths(first))
    late = tmp_path / "late.json"
    with pytest.raises(UserError, match=r"was not registered before .* was opened"):
        run_command("bench", "run", "--round", first, "--agent", memoriser, "--output", late)
    suite, place, _ = round_suite(first)
    cheated = run_suite(suite, place, [entrant_of(memoriser)], OPTIONS, late)
    assert success(cheated) == 1
    with pytest.raises(UserError, match=r"was not registered before .* was opened"):
        verify_in_round(late, first)

    # With the name and digest of an honest agent, running that agent again unmasks the walks.
    own = json.loads(out.read_text())["agent"]
    forged = msgspec.structs.replace(cheated, agent=msgspec.convert(own, type(cheated.agent)))
    assert write_result(late, forged).sha256 == result_digest(forged)
    verify_in_round(late, first)
    with pytest.raises(SystemExit):
        run_command("bench", "verify", late, "--round", first, "--agent", honest)
    again = ("bench", "verify", out, "--round", first, "--agent", honest)
    checks = tmp_path / "checks.json"
    assert "walked again, the agent" in run_command(*again, "--checks", checks)
    assert list(read_checks(checks)) == [json.loads(out.read_text())["sha256"]]

    # It may enter the second round, whose houses it does not know.
    second = play("second", [memoriser, honest])
    out = tmp_path / "memoriser.json"
    run_command("bench", "run", "--round", second, "--agent", memoriser, "--output", out)
    assert success(verify_in_round(out, second)) < 0.4

    # An agent that reads the teacher's action walks to no end in the third round.
    reader = write_agent("reader", READER)
    third = play("third", [reader])
    with pytest.raises(RuleError, match=r"reads info\['teacher_action'\]"):
        run_command("bench", "run", "--round", third, "--agent", reader, "--output", out)
    names = [set(known_paths(folder)) for folder in (first, second, third)]
    assert not names[0] & names[1]
    assert not names[1] & names[2]


def test_an_agent_whose_files_changed_is_another_agent(
    at_once, play, write_agent, run_command, tmp_path
):
    agent = write_agent("honest_too", HONEST)
    folder = play("changed", [agent])
    (tmp_path / "site" / "honest_too" / "weights.json").write_text("[1]")
    with pytest.raises(UserError, match="was not registered before"):
        run_command(
            "bench", "run", "--round", folder, "--agent", agent, "--output", tmp_path / "o.json"
        )


def _change(*keys, value):
    def change(document):
        *path, last = keys
        for key in path:
            document = document[key]
        document[last] = value

    return change


# Changes of a round after it was opened, and what readers say of them.
TAMPERED = {
    "the commitment": (
        _change("commitment", value="0" * 64),
        "registration of 'honest' was changed",
    ),
    "the date": (_change("date", value="2020-01-01T00:00:00Z"), "registration of 'honest'"),
    "an agent": (_change("registered", 0, "sha256", value=["0" * 64]), "registration of 'other'"),
    "the last agent": (
        _change("registered", 1, "name", value="another"),
        "registrations were changed after the round was opened",
    ),
    "the seed": (_change("opened", "seed", value="0" * 64), "is not the one that was sealed on"),
    "the houses": (
        _change("opened", "data_sha256", "r2r/val_unseen", value="0" * 64),
        "gives other graphs or episodes here",
    ),
    **{
        f"the name {name!r}": (_change("name", value=name), message)
        for name, message in (
            ("../../../X", "a round cannot be named"),
            ("/tmp/x", "a round cannot be named"),
            ("a\nb", "a round cannot be named"),
            ("", "a round cannot be named"),
            ("x" * 61, "a round cannot be named"),
            ("smoke", "smoke is the name of a suite"),
            ("continuous", "continuous is the name of a suite"),
        )
    },
    "many houses": (_change("houses", value=10**9), "a round has at most 1000 houses"),
    "the name of an agent": (
        _change("registered", 0, "name", value="a\nb"),
        "the name of the agent is not one printable line",
    ),
    "a date of an agent": (_change("registered", 0, "date", value="x"), "the date is not one"),
    "a digest of an agent": (_change("registered", 0, "sha256", value=["x"]), "matching regex"),
    "a dataset": (_change("opened", "data_sha256", value={"../x": "0" * 64}), "invalid enum value"),
    "a world of another version": (_change("world_version", value=1), "registration of 'honest'"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_round_is_found(name, at_once, play, write_agent):
    change, message = TAMPERED[name]
    folder = play(
        "tampered", [write_agent("honest", HONEST), write_agent("other", f"{HONEST}# again\n")]
    )
    path = folder / "round.json"
    document = json.loads(path.read_text())
    if name == "the houses":
        change = _change("opened", "data_sha256", "r2r", value="0" * 64)
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        round_suite(folder)


def test_houses_of_the_keeper_are_never_read(
    at_once, play, write_agent, run_command, tmp_path, monkeypatch
):
    """Neither houses that the seed does not give, nor features of other pictures."""

    def easy(houses, scan, folder):
        built = lattice(houses, scan, folder)
        built["val_unseen"] = [{**one, "path": one["path"][:2]} for one in built["val_unseen"]]
        return built

    agent = write_agent("honest", HONEST)
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "keeper"))
    with monkeypatch.context() as patched:
        patched.setattr(rounds, "build_house_of_round", easy)
        forged = play("forged", [agent])
        world = round_suite(forged)[1].data_dir
    honest = play("fair", [agent])
    for folder in (forged, honest):
        shutil.copytree(world, folder / "world")
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "somebody"))
    with pytest.raises(UserError, match="gives other graphs or episodes here than"):
        round_suite(forged)
    _, place, _ = round_suite(honest)
    for path in (place.data_dir, place.features):
        assert path.is_relative_to(tmp_path / "somebody")


def test_the_order_of_a_round_is_kept(at_once, write_agent, play, run_command, tmp_path):
    agent = write_agent("honest", HONEST)
    folder, secret = tmp_path / "round", tmp_path / "secret"
    inside = folder / "secret"
    with pytest.raises(UserError, match="lies in the folder of the round, which is published"):
        run_command("bench", "seal", "--round", folder, "--secret", inside)
    for name in ("smoke", "a b", "x" * 61):
        with pytest.raises(UserError, match=r"name of a suite|cannot be named"):
            run_command("bench", "seal", "--round", tmp_path / name, "--secret", secret)
        assert not secret.exists()
    run_command("bench", "seal", "--round", folder, "--secret", secret, "--houses", 1, "--paths", 2)
    with pytest.raises(UserError, match="no agent is registered"):
        run_command("bench", "open", "--round", folder, "--secret", secret)
    with pytest.raises(UserError, match="the name of the agent is not one printable line"):
        run_command("bench", "register", "--round", folder, "--agent", agent, "--name", "a\nb")
    run_command("bench", "register", "--round", folder, "--agent", agent)
    with pytest.raises(UserError, match="is sealed; its houses exist when it is opened"):
        run_command(
            "bench", "run", "--round", folder, "--agent", agent, "--output", tmp_path / "o.json"
        )
    other = tmp_path / "other"
    other.write_text("0" * 64)
    with pytest.raises(UserError, match="is not the secret of"):
        run_command("bench", "open", "--round", folder, "--secret", other)
    with pytest.raises(UserError, match="the same files are registered already, as 'make'"):
        run_command("bench", "register", "--round", folder, "--agent", agent, "--name", "twin")
    opened = play("opened", [agent])
    with pytest.raises(UserError, match=r"was opened on .*; register for the next round"):
        run_command("bench", "register", "--round", opened, "--agent", agent, "--name", "again")


def test_the_story_on_the_page(at_once, run_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "bench.md").read_text("utf-8")
    story = page.partition("## A sealed round")[2]
    commands = re.findall(r"^    clipnav (bench .*)$", story, re.MULTILINE)
    actions = [command.split()[1] for command in commands]
    assert actions == "seal register register open run run verify verify board".split()
    for command, action in zip(commands, actions, strict=True):
        if action == "verify":  # by somebody else
            monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "elsewhere"))
        printed = run_command(*shlex.split(command))
        assert action != "verify" or "scored, " in printed
    assert "spring@1" in (tmp_path / "site" / "index.html").read_text()


# Kernels of linear algebra and numbers of threads of child processes; none may change a house.
KERNELS = {
    "plain": {"OMP_NUM_THREADS": "1"},
    "prescott": {"OPENBLAS_CORETYPE": "Prescott", "OMP_NUM_THREADS": "4"},
    "without wide vectors": {
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}


@pytest.mark.long
def test_plans_graphs_and_texts_do_not_depend_on_kernels_and_threads():
    printed = set()
    for variables in KERNELS.values():
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        program = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("one_house.py"))]
        done = subprocess.run(
            [*program, "71", "72", "rectangle", "1"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(re.findall(r"^\{.*\}$", done.stdout, re.MULTILINE)[-1])
    assert len(printed) == 1, printed
