"""Commands on a run of clipnav train-continuous-agent, in the built-in houses."""

import pytest
import torch

from clipnav.agents.continuous.settings import ContinuousNetworkConfig, ContinuousTrainConfig
from clipnav.agents.continuous.tasks import ContinuousTask
from clipnav.envs.continuous.settings import STOP
from clipnav.training.checkpoints import VOCABULARY, save_model
from clipnav.training.settings import CONFIG, to_json
from clipnav.viewer.site import continuous_walks


@pytest.fixture(scope="module")
def blind_run(tmp_path_factory):
    """Untrained run of an agent that needs no pictures, and stops at once: its page is short."""
    run = tmp_path_factory.mktemp("runs") / "blind"
    sizes = ContinuousNetworkConfig(word_size=8, text_size=8, rgb_size=8, state_size=16)
    config = ContinuousTrainConfig(vision=False, network=sizes, output=run, threads=1)
    task = ContinuousTask(config)
    torch.manual_seed(0)
    network = task.make_network()
    network.head.actions.bias.data[STOP] = 100
    save_model(run, network, task.metadata)
    task.tokenizer.save(run / VOCABULARY)
    (run / CONFIG).write_text(to_json(config))
    return run


def test_a_continuous_run_is_evaluated_beside_the_baselines(blind_run, run_command):
    output = run_command("evaluate-continuous-agent", blind_run, "--episodes", 1)
    rows = [line.split()[1] for line in output.splitlines() if line.startswith("val_unseen")]
    assert rows == ["cma", "random", "forward", "expert"]
    assert {"CR", "stuck", "falls"} <= set(output.split())


def test_a_continuous_run_is_evaluated_as_a_noisy_robot(blind_run, run_command):
    options = ("--episodes", 1, "--robot", "locobot", "--actuation-noise", "locobot-ilqr")
    output = run_command("evaluate-continuous-agent", blind_run, *options)
    assert output.count("val_unseen") >= 4
    with pytest.raises(SystemExit):
        run_command("evaluate-continuous-agent", blind_run, "--robot", "atlas")


@pytest.mark.parametrize("changes", [{"dataset": "rxr"}, {"world": "houses-standard"}])
def test_continuous_runs_of_other_episodes_are_not_shown_together(run_command, tmp_path, changes):
    for name, own in (("one", {}), ("other", changes)):
        run = tmp_path / name
        run.mkdir()
        (run / CONFIG).write_text(to_json(ContinuousTrainConfig(output=run, **own)))
    sources = ("visualise", tmp_path / "one", tmp_path / "other", "--environment", "continuous")
    with pytest.raises(ValueError, match=r"walks episodes of .* show each by itself") as refused:
        run_command(*sources, "--export", tmp_path / "page.html")
    assert str(refused.value).startswith(f"{tmp_path / 'other'}: ")


def test_walks_of_a_continuous_run_become_a_page(blind_run, run_command, tmp_path, monkeypatch):
    monkeypatch.setattr(continuous_walks, "_WIDEST", 64)
    page = tmp_path / "walk.html"
    output = run_command(
        *("visualise", blind_run, "--environment", "continuous", "--export", page),
    )
    assert "cma, random, forward, expert: 1 episode of val_unseen" in output
    text = page.read_text("utf-8")
    assert all(f'"agent":"{name}"' in text for name in ("cma", "expert"))
