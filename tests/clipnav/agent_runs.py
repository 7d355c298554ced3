"""What the commands do with the run of any agent."""

import json

from clipnav.viewer.trace import read_traces


def train_resume_evaluate_and_submit(run_command, agent, name, flags, folder):
    """Run the commands for an agent in a small world of four test episodes.

    Args:
        run_command: Fixture of that name.
        agent: Value of --agent.
        name: Name of the agent in tables.
        flags: Flags of its training.
        folder: Folder to write to.

    Returns:
        The command line of the training, whose run is `folder`/run, and the traces of val_unseen.
    """
    run, submission, traces = folder / "run", folder / "submission.json", folder / "traces"
    train = ["train-agent", "--agent", agent, *flags, "--iterations", "2", "--output", run]
    assert name in run_command(*train)
    run_command("train-agent", "--resume", run, "--iterations", "3")
    assert json.loads((run / "results.json").read_text())["iterations"] == 3
    run_command("evaluate-agent", run, "--splits", "test", "--submission", submission)
    assert len(json.loads(submission.read_text())) == 4
    assert name in run_command("evaluate-agent", run, "--no-baselines", "--traces", traces)
    return train, list(read_traces(traces))
