"""An agent of your own: a small policy learns by imitation and is scored in unseen houses.

$ python scripts/examples/own_agent.py
"""

import sys
from typing import Any

import torch
from torch import nn

import clipnav

UPDATES = int(sys.argv[1]) if len(sys.argv) > 1 else 40


class Policy(nn.Module):
    """Scores candidates by their agreement with the mean of the words and the panorama."""

    def __init__(self, words: int, width: int, size: int = 128) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(words, size, padding_idx=0)
        self.views = nn.Linear(width, size)
        self.score = nn.Sequential(nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 1))

    def forward(self, observation) -> torch.Tensor:
        """Return the scores (B, K) of the actions."""
        o = {name: torch.from_numpy(array) for name, array in observation.items()}
        text, panorama = self.words(o["instruction"]), self.views(o["panorama"]).mean(1)
        scores = self.score(self.views(o["candidates"]) + (text + panorama)[:, None])[..., 0]
        return scores.masked_fill(o["action_mask"] == 0, -torch.inf)


def rollout(env, policy, teacher_forced) -> torch.Tensor:
    """Walk seven steps; return the loss of imitation."""
    (observation, info), loss = env.reset(), torch.zeros(())
    for _ in range(7):
        scores = policy(observation)
        teacher = torch.from_numpy(info["teacher_action"])
        loss = loss + nn.functional.cross_entropy(scores, teacher)
        actions = teacher if teacher_forced else scores.argmax(1)
        observation, _, _, _, info = env.step(actions.numpy())
    return loss


torch.manual_seed(0)
train: Any = clipnav.make_vec("R2R-CLIP-v0", num_envs=32, autoreset_mode="Disabled")
train.reset(seed=0)
policy = Policy(len(train.tokenizer), train.single_observation_space["candidates"].shape[1])
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
for update in range(UPDATES):
    optimizer.zero_grad()
    loss = rollout(train, policy, teacher_forced=True)
    loss.backward()
    optimizer.step()
    if update % 10 == 0:
        print(f"update {update}: loss {loss.item() / 7:.2f}")
unseen: Any = clipnav.make_vec(
    "R2R-CLIP-v0", num_envs=96, split="val_unseen", autoreset_mode="Disabled", shuffle=False
)
with torch.inference_mode():
    rollout(unseen, policy, teacher_forced=False)
metrics = unseen.metrics()
success, error = metrics["success"].mean(), metrics["nav_error"].mean()
print(f"96 unseen episodes: SR {success:.1%}, NE {error:.1f} m")
