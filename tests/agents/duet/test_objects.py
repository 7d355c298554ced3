"""Object tokens, grounding and their losses against DUET's own code at a tiny size."""

import math

import numpy as np
import pytest
import torch

from clipnav.agents.duet.conversion import convert_duet
from clipnav.agents.duet.learner import Grounding, decision_loss
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.objects import NodeObjects, target_tokens
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.learning.object_targets import ObjectTargets
from clipnav.agents.maps.experts import NO_TARGET
from clipnav.agents.transformer.released import load_strictly
from clipnav.envs.episodes import Episode
from clipnav.envs.goals.soon import SoonGoal
from clipnav.envs.graphs.goal import Goal
from tests.agents.duet.test_agent import Recording
from tests.agents.duet.test_model import (
    GRADIENT,
    LEAST_GRADIENT,
    OUTPUT,
    Rollout,
    close,
    config_of,
    precise,
    scores_of_whole_paths,
)

REVERIE = ("duet_objects_teacher", "duet_objects_argmax")


def golden_objects(geometry, scan, json, tensors, most):
    """Return the objects of a golden file, of which each viewpoint shows the first ones."""
    counts = np.zeros(len(geometry.world), np.int64)
    features, directions, sizes, ids, starts = [], [], [], [], np.zeros_like(counts)
    for viewpoint, seen in json["objects"].items():
        node = geometry.world.node(scan, viewpoint)
        starts[node], counts[node] = len(ids), len(seen["obj_ids"])
        if not seen["obj_ids"]:
            continue
        ids += seen["obj_ids"]
        directions += seen["directions"]
        if "sizes" in seen:
            boxes = np.array(seen["sizes"]) / (640, 480)
        else:
            corners = np.array(seen["bboxes"])
            boxes = (corners[:, 2:] - corners[:, :2]) / 600
        sizes += [(h, w, h * w) for w, h in boxes]
        features.append(tensors[f"objects.{viewpoint}"])
    table = torch.cat(features), np.array(directions), np.array(sizes)
    return NodeObjects(starts, counts, *table, ids).limited(most)


def part_of(golden, name, part):
    """Return a function that reads a part of a golden file as if it were one of its own."""

    def read(file):
        content = golden(file)
        if not part:
            return content
        if file.endswith(".json"):
            return content[part]
        return {n.removeprefix(f"{part}."): tensor for n, tensor in content.items()}

    return read


class ObjectRollout(Rollout):
    """A golden rollout with objects."""

    def __init__(self, name, golden, geometry_of, part=""):
        super().__init__(name, part_of(golden, name, part), geometry_of)
        scan, most = self.scans[0], self.json["max_objects"]
        assert set(self.scans) == {scan}
        objects = golden_objects(self.geometry, scan, self.json, self.tensors, most)
        self.features = WorldFeatures(self.geometry, self.features._features, objects=objects)
        self.targets_of = ObjectTargets(self.geometry.world, episodes_of(self.json), objects.ids_of)

    def order(self, state):
        """Return the places of the original's panorama tokens among ours, for each row."""
        nodes = state.viewpoints
        candidates = self.geometry.candidate_counts[nodes]
        views, objects = self.geometry.token_counts[nodes], self.features.objects.counts[nodes]
        rows = []
        for c, v, o in zip(candidates, views, objects, strict=True):
            rows.append([*range(c), *range(c + o, v + o), *range(c, c + o)])
        return rows

    def steps_of(self, model):
        """Yield the number, rows and state of each step, with its scores."""
        text = model.read(self.tensors["language.txt_ids"])
        for step in self.steps():
            rows, state = self.state(step, model)
            index = self.panoramas[rows, self.maps.current[rows]]
            inputs = self.memory.inputs(state, index)
            yield step, rows, state, inputs, model.score(text.rows(torch.from_numpy(rows)), *inputs)


def episodes_of(json):
    episodes = []
    for item in json["items"]:
        if "bboxes" in item:
            labels = item["image_id_to_obj_label"]
            ends = tuple(item["end_image_ids"])
            ids = (None if labels[v] is None else labels[v]["obj_id"] for v in ends)
            goal = SoonGoal(ends, object_ids=tuple(ids))
        else:
            goal = Goal(tuple(item["end_vps"]), 0.0, object_id=str(item["objId"]))
        path = tuple(item["path"])
        heading, name = item["heading"], item["instr_id"]
        episodes.append(Episode(name, 1, item["scan"], path, heading, "Go.", "en", target=goal))
    return episodes


@pytest.fixture(params=[*REVERIE, "soon teacher", "soon argmax"])
def rollout(request, golden, geometry_of):
    name, _, part = request.param.partition(" ")
    return ObjectRollout("duet_objects_soon" if part else name, golden, geometry_of, part)


@pytest.fixture
def model(rollout, golden):
    config = rollout.json["config"]
    return make_network(config, rollout_weights(rollout, golden, "weight"))


def rollout_weights(rollout, golden, kind):
    """Return weights, or gradients, under our names."""
    prefix = f"{kind}."
    own = {n.removeprefix(prefix): t for n, t in rollout.tensors.items() if n.startswith(prefix)}
    files = {"weight": "duet_objects_weights", "gradient": "duet_objects_gradients"}
    return convert_duet(own or golden(f"{files[kind]}.safetensors"))


def make_network(config, weights):
    sizes = config["vocab_size"], config["image_feat_size"]
    network = MapTransformer(config_of(config), *sizes, object_size=config["obj_feat_size"])
    load_strictly(network, weights, "golden")
    return network.eval()


def test_inputs_and_scores_of_every_step_equal_the_original(rollout, model):
    worst = {}
    with torch.no_grad():
        for step, rows, state, (nodes, views), scores in rollout.steps_of(model):
            order = rollout.order(state)

            def golden(name, step=step, rows=rows):
                return rollout.tensors.get(f"step{step}.{name}", None)

            def compare(name, ours, key, rows=rows, order=order, first=0, golden=golden):
                theirs = golden(key)
                if theirs is None:  # the second rollout of SOON has its scores only
                    return
                for number, places in enumerate(order):
                    own = ours[number, [*range(first), *(first + p for p in places)]]
                    expected = theirs[rows[number]][: len(own)]
                    worst[name] = max(worst.get(name, 0.0), close(own.float(), expected.float()))

            seen = rollout.features.gather(state.viewpoints, state.views)
            compare("directions", seen.directions, "panorama.loc_fts")
            compare("types", seen.types, "panorama.nav_types")
            compare("tokens", views.tokens, "panorama.out.pano_embeds")
            compare("positions", views.positions, "navigation.vp_pos_fts", first=1)
            fine = model.local_branch(
                views, model.read(rollout.tensors["language.txt_ids"]).rows(torch.from_numpy(rows))
            )
            compare("encoded", fine, "navigation.out.vp_embeds", first=1)
            wide = torch.full((len(rows), views.tokens.shape[1] + 1), -torch.inf)
            wide[:, 1 : 1 + scores.objects.shape[1]] = scores.objects
            compare("objects", wide, "navigation.out.obj_logits", first=1)
            for name, ours in (
                ("fused_logits", scores.decision),
                ("global_logits", scores.global_scores),
            ):
                if golden(f"navigation.out.{name}") is not None:
                    close(ours, golden(f"navigation.out.{name}")[rows])
            if golden("navigation.out.gmap_embeds") is not None:
                close(
                    nodes.features,
                    golden("navigation.gmap_img_embeds")[rows][:, : nodes.mask.shape[1]],
                    nodes.mask,
                )
    print({name: f"{value:.1e}" for name, value in worst.items()})


def test_object_labels_are_those_of_the_original(rollout, model):
    labelled = 0
    with torch.no_grad():
        for step, rows, state, _, _ in rollout.steps_of(model):
            tokens = target_tokens(rollout.targets_of, rollout.geometry, rows, state.viewpoints)
            ranks = tokens - rollout.geometry.candidate_counts[state.viewpoints]
            # Tokens of the original are [stop], all views, then objects.
            first = 1 + rollout.geometry.token_counts[state.viewpoints]
            for key, ours in (("object_target_row", ranks), ("object_target", first + ranks)):
                theirs = [rollout.json["steps"][step][key][row] for row in rows]
                assert np.where(tokens == NO_TARGET, NO_TARGET, ours).tolist() == theirs
            labelled += (tokens != NO_TARGET).sum()
    assert labelled


def step_by_step(rollout, model):
    """Return the action loss and the object loss of a rollout, per episode."""
    actions, grounding = torch.zeros(()), Grounding(rollout.targets_of, rollout.geometry)
    for step, rows, state, _, scores in rollout.steps_of(model):
        targets = [rollout.json["steps"][step]["action_target"][row] for row in rows]
        actions = actions + decision_loss(scores.decision, torch.tensor(targets))
        grounding.add(scores, rows, state.viewpoints)
    return actions / len(rollout.scans), grounding.loss(len(rollout.scans), "w")[0]


def whole_paths(rollout, model):
    """Return the losses of all decisions in one forward pass, from the paths alone."""
    paths, scores = scores_of_whole_paths(rollout, model)
    # The recorded rollout has a limit of decisions, which a longer path exceeds.
    live = paths.steps < rollout.json["max_action_len"]
    targets = torch.from_numpy(np.where(live, paths.targets, NO_TARGET))
    grounding = Grounding(rollout.targets_of, rollout.geometry)
    grounding.add(scores, np.where(live, paths.state.rows, -1), paths.state.viewpoints)
    count = len(rollout.scans)
    return decision_loss(scores.decision, targets) / count, grounding.loss(count, "w")[0]


@pytest.mark.parametrize("rollout", ["duet_objects_teacher", "soon teacher"], indirect=True)
@pytest.mark.parametrize("losses_of", [step_by_step, whole_paths])
def test_teacher_losses_and_gradients_equal_the_original(
    losses_of, rollout, model, golden, monkeypatch
):
    with precise(model, monkeypatch) as network:
        actions, objects = losses_of(rollout, network)
        (actions + objects).backward()
    assert actions.item() == pytest.approx(rollout.json["action_loss"], abs=OUTPUT)
    assert objects.item() == pytest.approx(rollout.json["object_loss"], abs=OUTPUT)
    expected, worst = rollout_weights(rollout, golden, "gradient"), 0.0
    parameters = dict(network.named_parameters())
    for name, theirs in expected.items():
        gradient = parameters[name].grad
        gradient = torch.zeros_like(theirs) if gradient is None else gradient
        largest = max(float(theirs.abs().max()), LEAST_GRADIENT)
        worst = max(worst, float((gradient - theirs).abs().max()) / largest)
    print(f"gradients: {worst:.1e} of {len(expected)}")
    assert worst < GRADIENT


@pytest.mark.parametrize("rollout", ["duet_objects_argmax", "soon argmax"], indirect=True)
def test_greedy_walks_and_answers_equal_the_original(rollout, model):
    recording = Recording.__new__(Recording)
    recording.set_up(rollout.json, rollout.features, model)
    agent = recording.agent()
    with torch.inference_mode():
        agent.walk(recording.env, recording.ids)
    assert recording.env.paths() == recording.paths()
    world, objects = rollout.geometry.world, rollout.features.objects
    for row, trajectory in enumerate(rollout.json["trajectories"]):
        end = world.node(rollout.scans[row], recording.env.paths()[row][-1])
        slot = agent._maps.slots_of(np.array([row]), np.array([end]))
        rank = int(agent.answers(np.array([row]), slot)[0])
        chosen = objects.starts[end] + rank if rank >= 0 else None
        if "pred_objid" in trajectory:
            answer = None if chosen is None else objects.ids[chosen]
            assert answer == trajectory["pred_objid"]
        elif chosen is None:
            assert trajectory["pred_obj_direction"] is None
        else:
            heading, elevation = objects.directions[chosen]
            assert trajectory["pred_obj_direction"] == pytest.approx(
                [heading / math.tau % 1, (elevation + math.pi) / math.tau], abs=1e-6
            )


def test_parameters_of_the_published_sizes():
    """The network of 768 numbers has the sizes of DUET's, with BERT's 30,522 word pieces."""
    counts = {}
    for name, size in (("r2r", None), ("reverie", 768), ("soon", 2048)):
        with torch.device("meta"):
            network = MapTransformer(MapTransformerConfig(), 30_522, 768, object_size=size)
        counts[name] = sum(weight.numel() for weight in network.parameters())
    assert counts == {"r2r": 180_489_221, "reverie": 181_082_118, "soon": 182_657_286}
