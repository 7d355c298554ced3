"""Train a follower by imitation and reinforcement, then compare it with the baselines.

$ train_agent.py --dataset rxr --minutes 5
$ train_agent.py --dataset r2r --world matterport --data-dir data --features vit_b32.safetensors
$ train_agent.py --start-from runs/r2r-houses     # continue with reinforcement
$ train_agent.py --resume runs/r2r-houses

Datasets: r2r, rxr and r4r. Worlds: the built-in houses and Matterport3D. Dataset, world, --preset,
--start-from and --back-translation.speaker determine the defaults of the other flags.
"""

from complaints import friendly_errors

import sys

from agents.command_line import parse_train


def main() -> None:
    """Parse the command line and train."""
    config = parse_train(sys.argv[1:], __doc__)
    # Imported here so that --help answers without loading torch.
    from agents.learning.follower_training import train

    train(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
