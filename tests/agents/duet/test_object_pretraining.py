"""Pre-training losses with objects against DUET's own code at a tiny size."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from clipnav.agents.duet.model import PanoramaInputs
from clipnav.agents.duet.pretraining_model import action_losses
from clipnav.agents.maps.experts import NO_TARGET, Expert
from clipnav.agents.maps.topological_maps import TopologicalMaps
from tests.agents.duet.test_pretraining import Batch, check, check_gradient_norms, make_model


class ObjectBatch(Batch):
    """Inputs of a pre-training task with objects."""

    def __init__(self, task, golden):
        super().__init__(task, golden, "duet_objects_pretrain")
        self.candidates = [len(ids) for steps in self.json["traj_cand_vpids"] for ids in steps]
        self.last = np.cumsum(self.json["traj_step_lens"]) - 1

    def panoramas(self):
        read = self.tensors
        views, objects = read["in.traj_vp_view_lens"], read["in.traj_vp_obj_lens"]
        width = int((views + objects).max())
        features = torch.zeros(len(views), width, read["in.traj_view_img_fts"].shape[2])
        directions, types = torch.zeros(len(views), width, 7), torch.zeros(len(views), width).long()
        for row in range(len(views)):
            theirs = torch.cat(
                [
                    read["in.traj_view_img_fts"][row, : views[row]],
                    read["in.traj_obj_img_fts"][row, : objects[row]],
                ]
            )
            places = self.places(row)
            features[row, places] = theirs
            directions[row, places] = read["in.traj_loc_fts"][row, : len(theirs)]
            types[row, places] = read["in.traj_nav_types"][row, : len(theirs)]
        mask = torch.arange(width) < (views + objects)[:, None]
        return PanoramaInputs(features, directions, types, mask)

    def places(self, panorama):
        """Return the places of the original's tokens of a panorama among ours."""
        c, read = self.candidates[panorama], self.tensors
        v, o = (int(read[f"in.traj_vp_{kind}_lens"][panorama]) for kind in ("view", "obj"))
        return [*range(c), *range(c + o, v + o), *range(c, c + o)]

    def objects_of(self):
        """Return the number of objects of each panorama."""
        return self.tensors["in.traj_vp_obj_lens"].numpy()

    def reordered(self, positions):
        ours = torch.zeros_like(positions)
        for row, panorama in enumerate(self.last):
            places = self.places(panorama)
            ours[row, [0, *(1 + p for p in places)]] = positions[row, : 1 + len(places)]
        return ours

    def tokens(self, views, objects):
        """Return (R, V) of our tokens, given the original's of views and of objects."""
        width = int(self.tensors["in.vp_pos_fts"].shape[1]) - 1
        ours = views.new_zeros(len(views), width, *views.shape[2:])
        counts = self.tensors["in.traj_vp_view_lens"]
        for row, panorama in enumerate(self.last):
            seen = views[row, : counts[panorama]], objects[row, : self.objects_of()[panorama]]
            ours[row, self.places(panorama)] = torch.cat(seen)
        return ours


@pytest.fixture
def pretraining(golden):
    return make_model(golden, "duet_objects_pretrain")


def test_object_pretraining_losses_equal_the_original(pretraining, golden):
    batch = ObjectBatch("og", golden)
    text, _, views = batch.encoded(pretraining)
    labels = batch.tensors["in.obj_labels"].numpy()
    candidates = np.array(batch.candidates)[batch.last]
    targets = torch.from_numpy(np.where(labels < 0, NO_TARGET, candidates + labels))
    losses = pretraining.object_losses(text, views, targets)
    check("object losses", losses.detach(), batch.tensors["out.loss"])
    losses.mean().backward()
    print(f"gradient norms: {check_gradient_norms(pretraining, batch):.1e}")


def test_action_losses_with_objects_equal_the_original(pretraining, golden):
    batch = ObjectBatch("sap", golden)
    scores = pretraining.network.score(*batch.encoded(pretraining))
    read = batch.tensors
    check("fused", scores.decision.detach(), read["out.fused_logits"])
    losses = action_losses(scores, read["in.global_act_labels"], read["in.local_act_labels"])
    check("action losses", losses.total.detach(), read["out.loss"])
    losses.total.mean().backward()
    print(f"gradient norms: {check_gradient_norms(pretraining, batch):.1e}")


def test_masked_objects_and_views_equal_the_original(pretraining, golden):
    batch = ObjectBatch("mrc", golden)
    text, _, views = batch.encoded(pretraining)
    read = batch.tensors
    masked = batch.tokens(read["in.vp_view_mrc_masks"], read["in.vp_obj_mrc_masks"])
    probabilities = batch.tokens(read["in.vp_view_probs"], read["in.vp_obj_probs"])
    losses = pretraining.masked_view_losses(text, views, masked, probabilities)
    # The original has the losses of all views before those of all objects.
    is_object = functional.pad(views.objects, (0, masked.shape[1] - views.objects.shape[1]))[masked]
    theirs = torch.cat([losses[~is_object], losses[is_object]])
    check("view and object losses", theirs.detach(), read["out.loss"])
    losses.mean().backward()
    print(f"gradient norms: {check_gradient_norms(pretraining, batch):.1e}")


def test_action_labels_with_several_goals_equal_the_original(golden, geometry_of):
    """The nearest unvisited node to any of the goals is right, and [stop] at each of them."""
    batch, json = ObjectBatch("sap", golden), golden("duet_objects_pretrain.json")
    geometry = geometry_of(json["scan"])
    world, items = geometry.world, json["items"]
    for row, path in enumerate(batch.json["traj_vpids"]):
        nodes = np.array([[world.node(json["scan"], viewpoint) for viewpoint in path]])
        ends = [world.node(json["scan"], v) for v in items[row]["pos_vps"]]
        maps = TopologicalMaps(geometry, 1)
        zero = np.zeros(1, np.int64)
        for node in nodes[0]:
            maps.visit(zero, np.array([node]))
        tokens = maps.tokens(zero, np.array([12]))
        expert = Expert(world, nodes, np.array([nodes.shape[1]]), goals=np.array([ends]))
        label = int(batch.tensors["in.global_act_labels"][row])
        assert items[row]["path"][0] == path[0]
        costs = expert.costs(maps, zero, tokens)[0]
        if label == 0:
            assert expert.targets(maps, zero, tokens) == 0
        else:
            order = [
                None if s < 0 else world.viewpoint_ids[maps.nodes[0, s]] for s in tokens.slots[0]
            ]
            chosen = order.index(batch.json["gmap_vpids"][row][label])
            assert costs[chosen] == pytest.approx(costs.min(), abs=1e-9)
