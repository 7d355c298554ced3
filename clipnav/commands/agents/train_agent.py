"""Train an agent on instructions, then compare it with the baselines.

$ clipnav train-agent --dataset rxr --minutes 5
$ clipnav train-agent --agent map
$ clipnav train-agent --agent hamt
$ clipnav train-agent --agent etpnav --dataset rxr
$ clipnav train-agent --dataset r2r --world matterport --data-dir data --features vit.safetensors
$ clipnav train-agent --start-from runs/r2r-houses     # continue with reinforcement
$ clipnav train-agent --resume runs/r2r-houses

Agents: the follower, trained by imitation and reinforcement learning; the frontier agent, a
follower that chooses among all viewpoints that it has seen; the map agent (DUET); HAMT; and ETPNav,
which walks without a graph, in R2R-CE (r2r) and RxR-CE (rxr). --agent NAME --help lists the flags
of an agent. Datasets: r2r, rxr, r4r, reverie, soon, cvdn, objectnav, goat and those of installed
packages. Worlds: the built-in houses and Matterport3D. Agent, dataset, world, preset, --start-from
and the speaker of back-translation determine the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.agents.settings.command_line import parse_agent


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_agent(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.experiments.training import train

    train(config)
