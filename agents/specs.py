"""The table of agents: one row each, to which installed packages add their own.

Rows name their parts as "module:name", so that nothing is imported before it is used. A package
adds a row by an entry point of the group `clipnav.agents`; `--agent package.module:SPEC` and
`register_agent` take one directly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from clipnav.storage.spec_table import Spec, SpecTable, is_row

# "search": searches before it walks and while it walks. "single-steps": in a recorded walk, the
# teacher can replace single steps. "follower-weights": its run contains a follower's network.
# "grounds-objects": where it stops, it points out an object.
Ability = Literal["search", "single-steps", "follower-weights", "grounds-objects"]


@dataclass(frozen=True)
class AgentSpec(Spec):
    """A row of the table of agents.

    Attributes:
        name: Name for --agent, which the settings of its runs contain.
        label: Name in tables.
        settings: Class of its settings, a subclass of `AgentConfig`.
        defaults: Function that returns the settings without flags. Its arguments are dataset,
            world, preset, and a function from the name of any other flag to its text or None.
        learner: Class that trains it, constructed from the settings; usually a subclass of
            `EpisodeLearner`.
        load: Function of a run's folder, a split and settings that returns the environment of the
            split and the agent of the run, see `clipnav.load_run`; None if it walks in continuous
            space only.
        waypoints: Function of an agent, a world and settings that returns an environment of
            waypoints in continuous space and a function that lets the agent walk there, as
            `clipnav.agents.waypoints.evaluation.follower_among_waypoints`; None if it cannot.
        continuous: Function of a run's folder and a device (None: that of the run) that returns the
            `SplitTask` and the `Walker` of a run that was trained in continuous space; None if it
            is not.
        abilities: What the agent can do that not all agents can.
    """

    label: str
    settings: str
    defaults: str
    learner: str
    load: str | None
    waypoints: str | None = None
    continuous: str | None = None
    abilities: frozenset[Ability] = frozenset()


_TABLE = SpecTable(
    "agent",
    "clipnav.agents",
    (
        AgentSpec(
            name="follower",
            label="follower",
            settings="clipnav.agents.envdrop.settings:TrainConfig",
            defaults="clipnav.agents.envdrop.settings:follower_defaults",
            learner="clipnav.agents.envdrop.learner:FollowerLearner",
            load="clipnav.agents.envdrop.learner:load_follower",
            waypoints="clipnav.agents.waypoints.evaluation:follower_among_waypoints",
            abilities=frozenset({"search", "single-steps", "follower-weights", "grounds-objects"}),
        ),
        AgentSpec(
            name="frontier",
            label="frontier agent",
            settings="clipnav.agents.frontier.settings:FrontierTrainConfig",
            defaults="clipnav.agents.frontier.settings:frontier_defaults",
            learner="clipnav.agents.frontier.learner:FrontierLearner",
            load="clipnav.agents.frontier.learner:load_frontier_agent",
            waypoints="clipnav.agents.waypoints.evaluation:frontier_agent_among_waypoints",
            abilities=frozenset({"follower-weights", "grounds-objects"}),
        ),
        AgentSpec(
            name="map",
            label="map agent",
            settings="clipnav.agents.duet.settings:MapTrainConfig",
            defaults="clipnav.agents.duet.settings:map_defaults",
            learner="clipnav.agents.duet.learner:MapLearner",
            load="clipnav.agents.duet.agent:load_map_agent",
            waypoints="clipnav.agents.waypoints.evaluation:map_agent_among_waypoints",
            abilities=frozenset({"grounds-objects"}),
        ),
        AgentSpec(
            name="hamt",
            label="HAMT",
            settings="clipnav.agents.hamt.settings:HistoryTrainConfig",
            defaults="clipnav.agents.hamt.settings:history_defaults",
            learner="clipnav.agents.hamt.learner:HistoryLearner",
            load="clipnav.agents.hamt.agent:load_history_agent",
        ),
        AgentSpec(
            name="etpnav",
            label="ETPNav",
            settings="clipnav.agents.etpnav.settings:EtpNavTrainConfig",
            defaults="clipnav.agents.etpnav.settings:etpnav_defaults",
            learner="clipnav.agents.etpnav.learner:EtpNavLearner",
            load=None,
            continuous="clipnav.agents.etpnav.task:load_etpnav",
        ),
    ),
)


def register_agent(spec: AgentSpec) -> None:
    """Add a row to the table in this process, or replace a row that was added.

    Raises:
        UserError: An agent of clipnav has the name.
    """
    _TABLE.add(spec)


def agent_spec(name: str) -> AgentSpec:
    """Return the row of an agent by its name, as settings contain it."""
    return _TABLE.row(name)


def named_agent(text: str) -> AgentSpec:
    """Import, add and return the row that a command line names as package.module:SPEC."""
    return _TABLE.load(text)


def with_agents(arguments: Sequence[str], keep: bool = True) -> list[str]:
    """Return a command line with names of rows after --agent instead of package.module:SPEC.

    These rows are imported and added to the table of this process.

    Args:
        keep: Keep the flag; without it, the command needs the rows only to read runs.
    """
    words: list[str] = []
    before = ""
    for word in arguments:
        flag, equals, value = word.partition("=")
        text = value if equals and flag == "--agent" else word if before == "--agent" else ""
        before = word
        if not is_row(text):
            words.append(word)
            continue
        if not equals:
            words.pop()
        name = named_agent(text).name
        words += ["--agent", name] if keep else []
    return words


def agent_names() -> list[str]:
    """Return the names of all agents, those of installed packages last."""
    return _TABLE.names()
