"""The map of an agent that builds one, on the page."""

import msgspec

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.trace import KnownMap, KnownNode


def with_maps(trace):
    """Return a trace with two decisions: a node that is several steps away, and the last one."""
    first, *others = trace.steps
    here = KnownNode(first.viewpoint, True)
    seen = [KnownNode(c.viewpoint, False, 0.25, 1.5) for c in first.candidates]
    target = seen[0].viewpoint
    decided = KnownMap((here, *seen), gate=0.6, target=target)
    last = KnownMap((here, *seen), gate=0.4, target=None, ends=True)
    steps = [msgspec.structs.replace(first, known_map=decided), *others]
    steps[-1] = msgspec.structs.replace(steps[-1], known_map=last)
    return msgspec.structs.replace(trace, agent="map agent", steps=tuple(steps))


def test_the_known_map_shows_nodes_scores_and_the_gate(page, make_library, traces, serve, tmp_path):
    trace = with_maps(traces[0])
    library = make_library()
    library.add([trace])
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(f"{url}#episode=train/{trace.instr_id}&a=map agent")
        nodes = len(trace.steps[0].known_map.nodes)
        panel = page.locator(".known-map")
        panel.wait_for()
        assert f"{nodes} nodes known, 1 visited." in panel.inner_text()
        assert "Gate: 60 % map, 40 % view." in panel.inner_text()
        assert page.locator("#map .known.visited").count() == 1
        assert page.locator("#map .known.seen").count() == nodes - 1
        assert page.locator("#map .target").count() == 1
        panel.locator("summary").click()
        assert panel.locator("tr").count() == nodes + 1
        page.locator("#next").click()
        panel.get_by_text("On the way to").wait_for()
        assert panel.locator("details[open]").count() == 1
        for _ in trace.steps[2:]:
            page.locator("#next").click()
        panel.get_by_text("Stops here.").wait_for()


def test_agents_without_a_map_have_no_panel(page, url, opened):
    opened(page, url, episode="train/101_0")
    assert page.locator(".known-map").count() == 0


def test_a_map_without_a_target_is_shown(page, make_library, traces, serve, tmp_path):
    first, *others = traces[0].steps
    nodes = KnownMap((KnownNode(first.viewpoint, True),))
    steps = (msgspec.structs.replace(first, known_map=nodes), *others)
    library = make_library()
    library.add([msgspec.structs.replace(traces[0], agent="map agent", steps=steps)])
    with serve(library, NoPictures("none"), tmp_path) as url:
        page.goto(f"{url}#episode=train/{traces[0].instr_id}&a=map agent")
        panel = page.locator(".known-map")
        panel.get_by_text("1 node known, 1 visited. Stays here.").wait_for()
        page.locator("#next").click()
        panel.get_by_text("1 node known, 1 visited.", exact=True).wait_for()
