"""A baseline with the computations of EnvDrop's environment, for `environment.py`.

It reproduces the computations of the released code (`r2r_src/env.py`, and the functions of
`r2r_src/agent.py` that turn agents and copy their observations to arrays), not its text. Each agent
has a simulator, which turns by 30 degrees at a time and is read after each turn. An observation is
a dictionary with a dictionary per candidate, made from the buffer of its viewpoint. The buffers of
all viewpoints are filled before the measurement. The simulator is clipnav's replacement, which is
faster than the original; teachers and distances come from clipnav's tables.
"""

import math
from typing import Any

import numpy as np

from clipnav.envs.mattersim import v01
from clipnav.envs.navigation.observations import panorama_angles
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.features.view_grid import NUM_VIEWS

STEP = math.radians(30)


class PlainEnvironment:
    """Agents that follow the teacher, episode after episode.

    An agent whose episode has ended starts the next one in the next step.
    """

    def __init__(self, env: VlnVectorEnv, seed: int) -> None:
        self.env, self.world, self.angle = env, env.nav_world, env.angle_feature_size
        store = env.feature_store
        assert store is not None
        self.width = store.width + self.angle
        views, self.keys = store.views, self.world.keys
        rows = self.world.store_rows(store)
        self.features = {
            key: views[row].astype(np.float32) for key, row in zip(self.keys, rows, strict=True)
        }
        self.nodes = {key: node for node, key in enumerate(self.keys)}
        self.angles = panorama_angles(self.angle)
        simulator, names = self._simulator(), (self.world.scan_names, self.world.viewpoint_ids)
        self.buffer = {
            key: _find_candidates(simulator, scan, viewpoint)
            for key, scan, viewpoint in zip(self.keys, *names, strict=True)
        }
        self._rng = np.random.default_rng(seed)

    def reset(self, count: int) -> dict[str, np.ndarray]:
        """Start a number of agents and return their observations as arrays."""
        self.simulators = [self._simulator() for _ in range(count)]
        self.episodes = [self.env.episodes[0]] * count
        self.observations: list[dict[str, Any]] = []
        self.ended = [True] * count
        return self.step()

    def step(self) -> dict[str, np.ndarray]:
        """Let all agents follow the teacher; return their observations as arrays.

        `rewards` is that of the distance to the goal; `teacher` has the actions of the teacher.
        """
        started = list(self.ended)
        for agent, ended in enumerate(started):
            if ended:
                episodes = self.env.episodes
                episode = episodes[int(self._rng.integers(len(episodes)))]
                self.episodes[agent], self.ended[agent] = episode, False
                self.simulators[agent].newEpisode(
                    episode.scan, episode.path[0], episode.heading, 0.0
                )
            else:
                self._act(agent, int(self.teacher[agent]))
        before = self.observations
        self.observations = [self._observe(agent) for agent in range(len(self.simulators))]
        rewards = np.zeros(len(started), np.float32)
        for agent, seen in enumerate(self.observations):
            if self.ended[agent]:
                rewards[agent] = 2.0 if seen["distance"] < 3 else -2.0
            elif not started[agent]:
                rewards[agent] = np.sign(before[agent]["distance"] - seen["distance"])
        # The candidate that the teacher chooses, or the number of candidates for stop.
        names = [[c["viewpointId"] for c in seen["candidate"]] for seen in self.observations]
        pairs = zip(names, self.observations, strict=True)
        self.teacher = np.array(
            [(*ids, seen["viewpoint"]).index(seen["teacher"]) for ids, seen in pairs]
        )
        count = len(self.observations)
        most = 1 + max(len(seen["candidate"]) for seen in self.observations)
        angle = np.zeros((count, self.angle), np.float32)
        panorama = np.empty((count, NUM_VIEWS, self.width), np.float32)
        candidates = np.zeros((count, most, self.width), np.float32)
        for agent, seen in enumerate(self.observations):
            angle[agent] = self._angle_feature(seen["heading"], seen["elevation"])
            panorama[agent] = seen["feature"]
            for index, candidate in enumerate(seen["candidate"]):
                candidates[agent, index] = candidate["feature"]
        return {
            "angle": angle,
            "panorama": panorama,
            "candidates": candidates,
            "rewards": rewards,
            "teacher": self.teacher,
        }

    def _simulator(self) -> v01.Simulator:
        simulator = v01.Simulator()
        simulator.setNavGraphPath(str(self.env.files.connectivity_dir))
        simulator.setRenderingEnabled(False)
        simulator.setDiscretizedViewingAngles(True)
        simulator.setCameraResolution(640, 480)
        simulator.setCameraVFOV(math.radians(60))
        simulator.init()
        return simulator

    def _act(self, agent: int, action: int) -> None:
        """Stop, or turn to the view of a candidate, step by step, and move to it."""
        seen, simulator = self.observations[agent], self.simulators[agent]
        if action == len(seen["candidate"]):
            self.ended[agent] = True
            return
        candidate = seen["candidate"][action]
        level, target = seen["viewIndex"] // 12, candidate["pointId"]
        while level != target // 12:
            step = 1 if level < target // 12 else -1
            self._turn(simulator, 0, 0, step)
            level += step
        while simulator.getState().viewIndex != target:
            self._turn(simulator, 0, 1, 0)
        place = simulator.getState().navigableLocations[candidate["idx"]]
        assert place.viewpointId == candidate["viewpointId"]
        self._turn(simulator, candidate["idx"], 0, 0)

    @staticmethod
    def _turn(simulator: v01.Simulator, index: int, heading: int, elevation: int) -> Any:
        """Act and return the pose, which the released code adds to the trajectory."""
        simulator.makeAction(index, heading, elevation)
        state = simulator.getState()
        assert state.location is not None
        return state.location.viewpointId, state.heading, state.elevation

    def _observe(self, agent: int) -> dict[str, Any]:
        state, episode = self.simulators[agent].getState(), self.episodes[agent]
        assert state.location is not None
        scan, viewpoint = state.scanId, state.location.viewpointId
        key = f"{scan}_{viewpoint}"
        feature, view = self.features[key], state.viewIndex
        node, goal = self.nodes[key], self.nodes[f"{scan}_{episode.path[-1]}"]
        pair = self.world.pair_starts[node] + self.world.locals[goal]
        teacher = self.world.targets[node, self.world.teachers[pair]]
        candidates = []
        for known in self.buffer[key]:
            candidate = known.copy()
            heading = candidate.pop("normalized_heading") - (view % 12) * STEP
            candidate["heading"] = heading
            angles = self._angle_feature(heading, candidate["elevation"])
            visual = feature[candidate["pointId"]]
            candidate["feature"] = np.concatenate([visual, angles])
            candidates.append(candidate)
        return {
            "instr_id": episode.instr_id,
            "scan": scan,
            "viewpoint": viewpoint,
            "viewIndex": view,
            "heading": state.heading,
            "elevation": state.elevation,
            "feature": np.concatenate([feature, self.angles[view % 12]], 1),
            "candidate": candidates,
            "navigableLocations": state.navigableLocations,
            "instructions": episode.instruction,
            "teacher": self.world.viewpoint_ids[teacher],
            "path_id": episode.path_id,
            "distance": float(self.world.distances[pair]),
        }

    def _angle_feature(self, heading: float, elevation: float) -> np.ndarray:
        sines = [math.sin(heading), math.cos(heading), math.sin(elevation), math.cos(elevation)]
        return np.array(sines * (self.angle // 4), np.float32)


def _find_candidates(simulator: v01.Simulator, scan: str, viewpoint: str) -> list[dict[str, Any]]:
    """Look in all views of a viewpoint for its neighbours, each in the view nearest to it."""
    simulator.newEpisode(scan, viewpoint, 0.0, -STEP)
    found: dict[str, dict[str, Any]] = {}
    for view in range(NUM_VIEWS):
        if view:
            simulator.makeAction(0, 1.0, float(view % 12 == 0))
        state = simulator.getState()
        assert state.viewIndex == view
        for index, place in enumerate(state.navigableLocations[1:], 1):
            distance = math.hypot(place.rel_heading, place.rel_elevation)
            known = found.get(place.viewpointId)
            if known is None or distance < known["distance"]:
                found[place.viewpointId] = {
                    "normalized_heading": state.heading + place.rel_heading,
                    "elevation": state.elevation + place.rel_elevation,
                    "scanId": scan,
                    "viewpointId": place.viewpointId,
                    "pointId": view,
                    "idx": index,
                    "distance": distance,
                }
    for candidate in found.values():
        del candidate["distance"]
    return list(found.values())
