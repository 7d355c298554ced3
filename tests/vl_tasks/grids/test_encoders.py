import dataclasses

import pytest

from clipnav.vl_tasks.grids import encoders
from clipnav.vl_tasks.grids.encoders import check_encoder
from tests.vl_tasks.small_networks import preset


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(encoders, "any_is_downloaded", lambda: False)
    monkeypatch.setattr(encoders, "is_reachable", lambda address: False)


def test_errors_without_a_network_list_encoders_that_work_offline(offline, monkeypatch):
    for config in (preset("vqa", "pythia-clip-vil"), preset("captions", "coco")):
        with pytest.raises(ConnectionError, match=r"RN50x4 .*--preset small or houses"):
            check_encoder(config)
    monkeypatch.setattr(encoders, "is_reachable", lambda address: True)
    check_encoder(preset("vqa", "pythia-clip-vil"))


def test_settings_that_work_offline_pass(offline, tmp_path):
    for task in ("vqa", "snli-ve", "captions"):
        for name in ("small", "houses"):
            check_encoder(preset(task, name))
    check_encoder(preset("vqa", "mcan-small"))
    pythia = preset("vqa", "pythia-clip-vil")
    check_encoder(dataclasses.replace(pythia, vision=False))
    weights = tmp_path / "RN50x4.pt"
    weights.write_text("")
    grids = dataclasses.replace(pythia.grids, pretrained=str(weights))
    check_encoder(dataclasses.replace(pythia, grids=grids))


def test_an_unknown_encoder_is_refused_before_a_training(offline):
    houses = preset("vqa", "houses")
    for encoder, problem in {
        "RN5O": "'RN5O' is neither a folder nor a model of open_clip; did you mean RN50",
        "house-clip": "did you mean house_clip",
        "nothing like it": "nor a model of open_clip; give a folder, house_clip or efficientnet",
        "RN50": "RN50 has no weights of its own",
    }.items():
        grids = dataclasses.replace(houses.grids, encoder=encoder)
        with pytest.raises(ValueError, match=problem):
            check_encoder(dataclasses.replace(houses, grids=grids))
        check_encoder(dataclasses.replace(houses, grids=grids, vision=False))


def test_missing_imagenet_weights_are_named_before_a_training(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    houses = preset("vqa", "houses")
    grids = dataclasses.replace(houses.grids, encoder="efficientnet-lite0")
    with pytest.raises(ModuleNotFoundError, match=r"efficientnet-lite0 .* 'clipnav\[bench\]'"):
        check_encoder(dataclasses.replace(houses, grids=grids))
    random = dataclasses.replace(grids, random_weights=True)
    check_encoder(dataclasses.replace(houses, grids=random))
    check_encoder(dataclasses.replace(houses, grids=grids, vision=False))
