"""Train a follower and compare it with the baselines.

train_agent.py --dataset r2r --minutes 5
train_agent.py --dataset r2r --world matterport --data-dir data --features vit_b32.safetensors
train_agent.py --resume runs/r2r-houses
"""

import sys

from agents.command_line import parse_train


def main() -> None:
    """Parse the command line and train."""
    config = parse_train(sys.argv[1:])
    # Imported here so that --help answers without loading torch.
    from agents.follower_training import train

    train(config)


if __name__ == "__main__":
    from complaints import complaints_in_a_line

    with complaints_in_a_line():
        main()
