import pytest

from clipnav.encoders.weights import origins
from clipnav.encoders.weights.loading import load_model
from clipnav.encoders.weights.origins import is_downloaded
from clipnav.storage.hugging_face import any_is_downloaded

TAG = {"hf_hub": "timm/resnet50x4_clip.openai/", "url": "https://x.org/models/RN50x4.pt"}


def test_downloaded_weights_are_detected(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not is_downloaded(TAG)
    assert not any_is_downloaded()
    folder = tmp_path / "models--timm--resnet50x4_clip.openai/snapshots/1"
    folder.mkdir(parents=True)
    (folder / "open_clip_model.safetensors").write_text("")
    assert is_downloaded(TAG)
    assert any_is_downloaded()
    assert not is_downloaded({"url": "https://x.org/models/RN50x4.pt"})
    (tmp_path / ".cache/clip").mkdir(parents=True)
    (tmp_path / ".cache/clip/RN50x4.pt").write_text("")
    assert is_downloaded({"url": "https://x.org/models/RN50x4.pt"})


def test_weights_that_cannot_be_reached_are_not_requested(monkeypatch):
    monkeypatch.setattr(origins, "is_downloaded", lambda tag: False)
    monkeypatch.setattr(origins, "is_reachable", lambda address: False)
    requested = lambda *_: pytest.fail("the weights are requested")  # noqa: E731
    monkeypatch.setattr("open_clip.pretrained.download_pretrained", requested)
    with pytest.raises(ConnectionError, match=r"'openai' of RN50x4 .* cannot be reached"):
        load_model("RN50x4", "openai")
