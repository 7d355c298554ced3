"""MaskablePPO of sb3-contrib on R2R: no adapter is needed.

$ pip install stable-baselines3 sb3-contrib
$ python scripts/examples/train_ppo.py
"""

import sys

from sb3_contrib import MaskablePPO

import clipnav

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 512
env = clipnav.make("R2R-CLIP-v0", angle_feature_size=4, reward="ndtw")
model = MaskablePPO("MultiInputPolicy", env, n_steps=64, batch_size=32, n_epochs=2, seed=0)
model.learn(STEPS)
observation, info = env.reset(seed=1)
ended = False
while not ended:
    action, _ = model.predict(observation, action_masks=env.get_wrapper_attr("action_masks")())
    observation, reward, terminated, truncated, info = env.step(int(action))
    ended = terminated or truncated
print(
    f"after {model.num_timesteps} steps, the walk ends {info['distance_to_goal']:.1f} m from goal"
)
