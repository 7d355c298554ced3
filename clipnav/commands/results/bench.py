"""Run frozen suites, verify their results, play sealed rounds and draw the board.

$ clipnav bench suites
$ clipnav bench run --suite smoke@1 --agent runs/r2r-houses --output results/mine.json
$ clipnav bench run --suite smoke@1 --agent my_package.agents:make --output results/mine.json
$ clipnav bench verify results/mine.json
$ clipnav bench seal --round rounds/spring --secret spring.secret
$ clipnav bench register --round rounds/spring --agent runs/r2r-houses
$ clipnav bench open --round rounds/spring --secret spring.secret
$ clipnav bench run --round rounds/spring --agent runs/r2r-houses --output results/spring.json
$ clipnav bench board results --output site

An agent is the folder of a run (several folders are several seeds of it), hf:OWNER/NAME, a run of
clipnav push, package.module:NAME, a function of a task and a seed that returns an agent,
package.module:SPEC@RUN, or vlm:URL with --model. A result file contains the walks, from which
everything else in it is recomputed by verify.
clipnav bench ACTION --help describes the arguments of an action.
"""

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.resuming import parse_arguments
from clipnav.training.settings import check_counts, check_unused_options


@dataclass(frozen=True)
class SuitesArguments:
    """List the suites with their digests."""


@dataclass(frozen=True)
class RunArguments:
    """Run an agent on a suite and write a result file."""

    agent: tuple[str, ...]
    """Run folders of one agent, one per training seed, or hf:OWNER/NAME; or package.module:NAME,
    package.module:SPEC@RUN or vlm:URL. PART=AGENT enters one part of a suite, such as
    captions=runs/captioner."""
    output: Path
    """Result file to write."""
    suite: str | None = None
    """Suite, as NAME@VERSION."""
    round: Path | None = None
    """Folder of an opened round, instead of a suite; the agent must be registered in it."""
    name: str | None = None
    """Name of the agent on the board; by default that of the run or function."""
    note: str = ""
    """Text for the board, such as the address of a paper."""
    trained_on: tuple[str, ...] = ()
    """What the agent was trained on, such as worlds=houses datasets=r2r,rxr splits=train
    weights=house_clip; "weights=" is none. What is left out is read from a run's settings (worlds,
    datasets, splits), or is not known."""
    batch_size: int = 256
    """Number of episodes in a batch."""
    device: str = "cpu"
    """Device of the agent: cpu, cuda, cuda:1, ..."""
    threads: int | None = None
    """Number of CPU threads of torch; torch's default if not given."""
    model: str | None = None
    """Name of the model on the server of vlm:URL."""
    requests: int = 8
    """Number of requests at a time of a model on a server."""
    price_in: float | None = None
    """Price of a million prompt tokens of that model."""
    price_out: float | None = None
    """Price of a million answer tokens."""

    def __post_init__(self) -> None:
        check_counts(self, ("batch_size", "threads", "requests"))
        check_outputs(self, {"output": (".json",)})
        if not self.agent:
            raise UserError("--agent: name the agent to run")
        if (self.suite is None) == (self.round is None):
            raise UserError("name either a --suite or a --round")
        _trained_on(self.trained_on)
        if not any("vlm:" in agent for agent in self.agent):
            names = ("model", "requests", "price_in", "price_out")
            check_unused_options(self, {name: "without --agent vlm:URL" for name in names})


@dataclass(frozen=True)
class VerifyArguments:
    """Recompute scores, intervals and digests of result files from their walks."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Result files."""
    round: Path | None = None
    """Folder of the round of the results, whose houses are built in the cache."""
    agent: tuple[str, ...] = ()
    """Agent of the results, which then walks again: the only proof that walks are its own."""
    checks: Path | None = None
    """File to which results are added whose agent walked again as in the file, for the board."""
    batch_size: int = 256
    """Number of episodes in a batch of that agent."""

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError("name a result file")
        if not self.agent:
            check_unused_options(self, {"checks": "without --agent"})


@dataclass(frozen=True)
class SealArguments:
    """Begin a sealed round: draw a secret seed and publish its hash."""

    round: Path
    """New folder of the round, which is published."""
    secret: Path
    """File for the secret seed, outside of that folder."""
    houses: int = 6
    """Number of houses."""
    paths: int = 40
    """Number of R2R-style paths of a house, with three instructions each."""
    rxr_paths: int = 12
    """Number of RxR-style paths of a house, with an instruction in three languages each."""

    def __post_init__(self) -> None:
        check_counts(self, ("houses", "paths"))
        check_counts(self, ("rxr_paths",), least=0)


@dataclass(frozen=True)
class RegisterArguments:
    """Register an agent for a sealed round, by the digest of its files."""

    round: Path
    """Folder of the round."""
    agent: tuple[str, ...]
    """Agent, as for clipnav bench run."""
    name: str | None = None
    """Name of the agent on the board; by default that of the run or function."""
    model: str | None = None
    """Name of the model on the server of vlm:URL."""


@dataclass(frozen=True)
class OpenArguments:
    """Open a round: publish its seed and the digests of its houses."""

    round: Path
    """Folder of the round."""
    secret: Path
    """File of the secret seed."""


@dataclass(frozen=True)
class BoardArguments:
    """Write a static page from a folder of result files, which are scored again."""

    folder: tyro.conf.Positional[Path]
    """Folder of the result files, with subfolders."""
    output: Path
    """Folder of the page."""
    rounds: tuple[Path, ...] = ()
    """Folders of the rounds of results."""
    checks: Path | None = None
    """File of bench verify --checks, with the results whose agents you let walk again."""
    walks: int = 0
    """Number of walks of each agent and part to export as pages of the viewer, which takes a minute
    each."""

    def __post_init__(self) -> None:
        check_counts(self, ("walks",), least=0)
        check_outputs(self, {"output": ()})


def _trained_on(told: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of worlds, datasets, splits and weights that WHAT=NAME,NAME lists."""
    kinds, found = ("worlds", "datasets", "splits", "weights"), {}
    for text in told:
        what, equals, names = text.partition("=")
        if not equals or what not in kinds or what in found:
            raise UserError(
                f"--trained-on {text}: give each of {', '.join(kinds)} once, as worlds=A,B"
            )
        found[what] = tuple(name for name in names.split(",") if name)
    return found


def _list_suites(arguments: SuitesArguments) -> None:
    """Print all suites."""
    from clipnav.bench.suites import load_suite, suite_digest, suite_names
    from clipnav.envs.metrics import aligned

    suites = [load_suite(name) for name in suite_names()]
    rows = [[suite.label, suite_digest(suite)[:16], suite.title] for suite in suites]
    print(aligned([["suite", "digest", "what"], *rows], texts=3))


def run(arguments: RunArguments) -> None:
    """Run a suite."""
    import torch

    from clipnav.bench.entrants import entrant_of
    from clipnav.bench.kinds import RunOptions
    from clipnav.bench.results import result_table, run_suite
    from clipnav.bench.rounds import check_registered, round_suite
    from clipnav.bench.suites import Place, load_suite

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    entrants = [entrant_of(text, arguments.model) for text in arguments.agent]
    name = arguments.name
    if arguments.round is not None:
        suite, place, opened = round_suite(arguments.round)
        digests = [entrant.digest for entrant in entrants]
        name = check_registered(arguments.round, opened, digests).name
    else:
        suite = load_suite(arguments.suite or "")
        place = Place(suite.world)
    prices = {"price_in": arguments.price_in, "price_out": arguments.price_out}
    options = RunOptions(
        *(arguments.batch_size, arguments.device, arguments.requests, arguments.model), prices
    )
    result = run_suite(
        *(suite, place, entrants, options, arguments.output),
        name=name,
        note=arguments.note,
        trained_on=_trained_on(arguments.trained_on),
    )
    print(result_table(result, suite))
    print(f"{result.seconds:.1f} s; result: {arguments.output}")


def verify(arguments: VerifyArguments) -> int:
    """Verify result files; return 1 if one is wrong."""
    from clipnav.bench.results import add_check, check_walks, named_problem, read_result
    from clipnav.bench.results import verify as verify_file
    from clipnav.bench.rounds import round_suite, verify_in_round
    from clipnav.bench.suites import Place, load_suite

    wrong = 0
    for path in arguments.files:
        try:
            claimed = read_result(path).suite
            label = f"{claimed.name}@{claimed.version}"
            if arguments.round is not None:
                result = verify_in_round(path, arguments.round)
                suite, place, _ = round_suite(arguments.round)
            else:
                suite = load_suite(label)
                place = Place(suite.world)
                result = verify_file(path, suite, place)
            if arguments.agent:
                check_walks(path, result, suite, place, arguments.agent, arguments.batch_size)
        except UserError as error:
            print(named_problem(path, error))
            wrong += 1
            continue
        walks = sum(len(s.answers) for part in result.parts.values() for s in part.seeds)
        print(f"{path}: scored, {walks} walks of {result.agent.name} on {label}")
        if arguments.agent:
            print(f"{path}: walked again, the agent walks as in the file")
        if arguments.checks is not None:
            add_check(arguments.checks, result)
    return 1 if wrong else 0


def seal(arguments: SealArguments) -> None:
    """Begin a round."""
    from clipnav.bench.rounds import seal as seal_round

    sealed = seal_round(
        *(arguments.round, arguments.secret, arguments.houses),
        *(arguments.paths, arguments.rxr_paths),
    )
    print(f"{arguments.round}: sealed on {sealed.date} with {sealed.commitment}")
    print(f"Publish the folder and this hash; keep {arguments.secret} secret until you open it.")


def register(arguments: RegisterArguments) -> None:
    """Register an agent."""
    from clipnav.bench.entrants import entrant_of
    from clipnav.bench.rounds import register as register_agent

    entrants = [entrant_of(text, arguments.model) for text in arguments.agent]
    name = arguments.name or entrants[0].name
    current = register_agent(arguments.round, name, entrants)
    print(f"{arguments.round}: {name} is registered; the round is now {current.head()}")


def open_round(arguments: OpenArguments) -> None:
    """Open a round."""
    from clipnav.bench.rounds import open_round as open_sealed

    current = open_sealed(arguments.round, arguments.secret)
    assert current.opened is not None
    print(f"{arguments.round}: opened on {current.opened.date}; the seed is {current.opened.seed}")


def board(arguments: BoardArguments) -> int:
    """Write the board; return 1 if results were left out."""
    from clipnav.bench.board import write_board
    from clipnav.bench.suites import SuitePart
    from clipnav.commands.viewer.visualise import main as visualise

    def export(walks: Path, part: SuitePart, item: str, page: Path) -> None:
        flags = ["--dataset", part.dataset, "--split", part.split, "--episode", item]
        visualise([str(walks), *flags, "--export", str(page)])

    problems = write_board(
        *(arguments.folder, arguments.output, arguments.rounds),
        export=export if arguments.walks else None,
        walks=arguments.walks,
        checks=arguments.checks,
    )
    for problem in problems:
        print(f"left out: {problem}")
    print(f"Page: {arguments.output / 'index.html'}")
    return 1 if problems else 0


# Settings and function of each action.
ACTIONS: dict[str, tuple[type, Callable[[Any], int | None]]] = {
    "suites": (SuitesArguments, _list_suites),
    "run": (RunArguments, run),
    "verify": (VerifyArguments, verify),
    "seal": (SealArguments, seal),
    "register": (RegisterArguments, register),
    "open": (OpenArguments, open_round),
    "board": (BoardArguments, board),
}


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and run an action."""
    action, *rest = arguments or ["--help"]
    if action in ("-h", "--help", "--help-all"):
        width = max(map(len, ACTIONS))
        print(f"usage: clipnav bench ACTION [ARGUMENTS ...]\n\n{__doc__}")
        for name, (kind, _) in ACTIONS.items():
            print(f"{name:<{width}}  {kind.__doc__}")
        print("\n--help-all describes the arguments of all actions.\n")
        for name, (kind, _) in ACTIONS.items() if action == "--help-all" else ():
            printed = io.StringIO()
            with suppress(SystemExit), redirect_stdout(printed):
                parse_arguments(kind, ["--help"], f"clipnav bench {name}", kind.__doc__)
            groups = printed.getvalue().partition(f"{kind.__doc__}\n\n")[2]
            dashes = "─" * (len(name) + 2)
            heading = re.compile(
                rf"^(╭─ | )(options|positional arguments)( {dashes})?", re.MULTILINE
            )
            print(heading.sub(rf"\1{name}: \2", groups))
        raise SystemExit(0)
    if action not in ACTIONS:
        raise UserError(f"{action}: no such action; choose one of {', '.join(ACTIONS)}")
    kind, function = ACTIONS[action]
    return function(parse_arguments(kind, rest, f"clipnav bench {action}", kind.__doc__)) or 0
