"""Environments accept only simulators with the same body, and the same cameras if they draw."""

import pytest

from clipnav.envs.continuous.habitat_simulator import HabitatSimulator
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import R2R_CE, RXR_CE, task_settings
from clipnav.envs.continuous.simulator import check_simulator

SIMULATORS = {
    "houses": HouseSimulator,
    "habitat": lambda settings: HabitatSimulator(settings, lambda scan: None, server=object()),
}


@pytest.mark.parametrize("backend", SIMULATORS)
def test_a_simulator_with_another_body_is_refused(backend):
    blind = task_settings("rxr", observe=())
    with pytest.raises(ValueError, match="agent_radius") as raised:
        check_simulator(SIMULATORS[backend](R2R_CE), blind)
    assert str(raised.value) == (
        "agent_radius is 0.1 in the simulator and 0.18 in the environment, agent_height is 1.5 in "
        "the simulator and 0.88 in the environment; pass the same settings to both"
    )
    check_simulator(SIMULATORS[backend](RXR_CE), blind)


@pytest.mark.parametrize(
    ("name", "value"),
    [("camera_height", 1.0), ("hfov", 60.0), ("rgb_size", (8, 8)), ("depth_size", (8, 8))],
)
@pytest.mark.parametrize(
    "uses",
    [
        {"observe": ("rgb",)},
        {"observe": ("clip_panorama", "heading")},
        {"observe": (), "render_mode": "rgb_array"},
    ],
)
def test_a_simulator_with_another_camera_is_refused_if_a_picture_is_drawn(name, value, uses):
    simulator = HouseSimulator(task_settings("r2r", **{name: value}))
    for unseen in ((), ("globalgps", "heading")):
        check_simulator(simulator, task_settings("r2r", observe=unseen))
    with pytest.raises(ValueError, match=f"^{name} is .* in the simulator and .*; pass the same"):
        check_simulator(simulator, task_settings("r2r", **uses))


@pytest.mark.parametrize("settings", [None, {"agent_radius": 0.5}])
def test_simulators_without_such_settings_are_not_checked(settings):
    class Foreign:
        pass

    foreign = Foreign()
    if settings is not None:
        foreign.settings = settings
    check_simulator(foreign, R2R_CE)
