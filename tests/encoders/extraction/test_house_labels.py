"""Features of perfect recognition in the built-in houses."""

from pathlib import Path

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.encoders.extraction import command
from clipnav.encoders.extraction.arguments import HOUSE_LABELS, ExtractArguments
from clipnav.encoders.extraction.view_sources import HouseLabels, fact_features
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.houses.views.view_facts import ViewFacts, view_facts
from clipnav.envs.panoramas.views import views36_nearest
from clipnav.storage.features.opening import open_store


def facts(*holds: tuple[str, ...]) -> ViewFacts:
    return ViewFacts(frozenset(holds), frozenset(holds))


def test_facts_can_be_read_from_their_sum():
    nouns = ["bed", "sofa", "sink", "toilet", "lamp", "piano", "desk", "rug"]
    shown = facts(("room", "bedroom"), ("thing", "bed"), ("thing", "bed", "red"), ("thing", "rug"))
    features = fact_features(shown)
    alone = {noun: fact_features(facts(("thing", noun))) for noun in nouns}
    scores = {noun: float(features @ direction) for noun, direction in alone.items()}
    assert {noun for noun, score in scores.items() if score > 0.5} == {"bed", "rug"}
    assert features @ fact_features(facts(("thing", "bed", "red"))) > 0.5
    assert features @ fact_features(facts(("thing", "bed", "blue"))) < 0.5
    np.testing.assert_allclose([np.linalg.norm(part) for part in alone.values()], 1.0, rtol=1e-6)


def test_the_store_has_the_facts_of_every_view(tmp_path: Path):
    whole = tmp_path / "labels.safetensors"
    arguments = ExtractArguments(whole, encoder=(HOUSE_LABELS,), scans=("house_00",), workers=1)
    command.main(arguments)
    store = open_store(whole)
    assert store.metadata["encoder"] == HOUSE_LABELS
    key = next(iter(store.keys))
    scan, _, viewpoint = key.rpartition("_")

    panoramas = HousePanoramas(width=384)
    house = panoramas.house(scan)
    kinds = [room.kind for room in house.plan.rooms]
    ids = views36_nearest(panoramas.panorama(scan, viewpoint).object_id, 64)
    expected = [fact_features(view_facts(view, house.scene.objects, kinds)) for view in ids]
    np.testing.assert_allclose(store.views[0], expected, atol=2e-3)
    assert np.ptp(expected, axis=0).any()

    before = whole.stat().st_mtime_ns
    command.main(arguments)  # it is finished
    assert whole.stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match="other viewpoints or settings"):
        command.main(ExtractArguments(whole, encoder=(HOUSE_LABELS,), scans=("house_01",)))


def test_rows_do_not_depend_on_their_order():
    source = HouseLabels("houses")
    records = [("house_00", record["image_id"]) for record in read_connectivity("house_00")[:3]]
    rows = [source.load(record) for record in records]
    again = [source.load(record) for record in reversed(records)]
    np.testing.assert_array_equal(rows, again[::-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world": "habitat"}, "knows the built-in houses only; set --world houses or"),
        ({"encoder": (HOUSE_LABELS, "house_clip")}, "run the command for it alone"),
        ({"precision": "bf16"}, "--precision bf16 has no effect with --encoder house_labels"),
        ({"panorama_width": 64}, "--panorama-width 64 has no effect with --encoder house_labels"),
    ],
)
def test_settings_of_encoders_of_pictures_are_refused(changes, message):
    settings = {"encoder": (HOUSE_LABELS,), "output": Path("store.safetensors"), **changes}
    with pytest.raises(ValueError, match=message):
        ExtractArguments(**settings)
