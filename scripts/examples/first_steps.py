"""First steps: follow an instruction with the teacher, watch the walk and print its scores.

$ python scripts/examples/first_steps.py
"""

from typing import Any

from PIL import Image

import clipnav

env: Any = clipnav.make(
    "R2R-CLIP-v0", split="val_unseen", observe="indices", render_mode="rgb_array"
)
observation, info = env.reset(seed=0, options={"episode_id": "27028_1"})
print(info["instruction"])
frames, ended = [env.render()], False
while not ended:
    # The teacher knows the goal; your own agent reads `observation` and `info["action_mask"]`.
    observation, reward, terminated, truncated, info = env.step(info["teacher_action"])
    print(f"{info['distance_to_goal']:5.1f} m to the goal, reward {reward:+.0f}")
    frames.append(env.render())
    ended = terminated or truncated
first, *others = map(Image.fromarray, frames)
first.save("walk.webp", save_all=True, append_images=others, duration=900, loop=0)
print({name: round(value, 2) for name, value in info["metrics"].items()}, "walk.webp")
