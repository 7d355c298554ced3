"""Print the digests of a house: its plan, objects, graph, texts and goals. Run in child processes.

Textures and light are left out: they are pictures, and take most of the time.
"""

import hashlib
import json
import sys
from dataclasses import asdict
from types import MappingProxyType

import numpy as np

from clipnav.envs.houses.building.house import HouseSpec, build_house
from clipnav.envs.houses.building.sets import HouseSet
from clipnav.envs.houses.house_set import navigate
from clipnav.envs.houses.lighting import baking
from clipnav.envs.houses.materials import pictures, textures


def digest(document):
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def main(plan_seed, style_seed, outline, storeys):
    spec = HouseSpec("one_00", plan_seed, style_seed, outline, storeys)
    one = {"val_unseen": ("one_00",)}
    house_set = HouseSet(
        "one", MappingProxyType({"one_00": spec}), one, {"val_unseen": 4}, {"val_unseen": 2}
    )
    blank = np.full((4, 4, 3), 200, np.uint8)
    names = [*textures.SURFACES, *pictures.PICTURES, "outside", "glass"]
    names += [f"{kind}{k}" for kind in ("books", "rug", "painting") for k in range(12)]
    textures.make_textures = lambda _: dict.fromkeys(names, blank)
    baking.bake = lambda scene, *_: scene
    house = build_house(spec)
    navigation = navigate(house, house_set)
    parts = {
        "plan": house.plan.to_dict(),
        "objects": [asdict(info) for info in house.scene.objects],
        "graph": navigation["connectivity"],
        "r2r": navigation["val_unseen"],
        "rxr": navigation["rxr"],
    }
    print(json.dumps({name: digest(part) for name, part in parts.items()}))
    if len(sys.argv) > 5:
        with open(sys.argv[5], "w") as file:
            json.dump(parts, file)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
