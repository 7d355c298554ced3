import numpy as np


def test_infos_contain_action_masks_and_the_viewpoints_of_candidates(make_env):
    env = make_env(4)
    observation, info = env.reset(seed=2)
    world = env.nav_world
    for _ in range(20):
        masks = info["action_mask"]
        assert masks.dtype == bool
        np.testing.assert_array_equal(masks, observation["action_mask"] == 1)
        np.testing.assert_array_equal(masks, env.action_masks())
        assert info["_action_mask"].tolist() == info["_candidates"].tolist() == [True] * 4
        for row in range(4):
            graph = world.graphs[info["scan"][row]]
            moves = [name for name in info["candidates"][row] if name]
            assert sorted(moves) == sorted(graph.neighbours(info["viewpoint"][row]))
            assert (info["candidates"][row] != "")[1:].tolist() == masks[row, 1:].tolist()
            assert info["candidates"][row, 0] == ""
        last = masks.shape[1] - 1 - masks[:, ::-1].argmax(axis=1)
        expected = info["candidates"][np.arange(4), last]
        observation, _, terminated, truncated, info = env.step(last)
        if (terminated | truncated).any():
            observation, info = env.reset()
        else:
            assert info["viewpoint"].tolist() == expected.tolist()


def test_masks_of_an_info_can_be_changed(make_env):
    env = make_env(2)
    _, info = env.reset(seed=0)
    info["action_mask"][:] = False
    env.action_masks()[:] = False
    assert env.action_masks()[:, 0].all()
    assert env.reset(seed=0)[1]["action_mask"][:, 0].all()
