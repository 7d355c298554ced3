import pytest

from clipnav.encoders.named_encoder import NamedEncoder


def test_names_of_encoders(tmp_path):
    clip = tmp_path / "first"
    clip.mkdir()
    parse = NamedEncoder.parse

    def read(text: str) -> tuple[str, str, str | None]:
        found = parse(text)
        return found.name, found.source, found.pretrained

    assert read("house_clip") == ("house_clip", "house_clip", None)
    assert read("ViT-B-32:openai") == ("ViT-B-32:openai", "ViT-B-32", "openai")
    assert parse("ViT-B-32:openai").file == "ViT-B-32-openai.safetensors"
    assert read("big=RN50:weights.pt") == ("big", "RN50", "weights.pt")
    assert read(str(clip)) == ("first", str(clip), None)
    assert read(f"mine={clip}") == ("mine", str(clip), None)
    assert read("hub=hf-hub:org/model") == ("hub", "hf-hub:org/model", None)
    assert read("features/mine.safetensors") == ("mine", "features/mine.safetensors", None)
    assert read("a=b.h5") == ("a", "b.h5", None)
    assert read("house_clip:random") == ("house_clip:random", "house_clip", None)
    assert read(f"{clip}:random") == ("first:random", str(clip), None)
    for text, random in (
        ("house_clip:random", True),
        (f"x={clip}:random", True),
        ("RN50:x", False),
    ):
        assert parse(text).random_weights == random
    assert parse("a=b.h5").is_store
    assert not parse("RN50:weights.safetensors").is_store


def test_paths_may_contain_an_equals_sign(tmp_path):
    folder, store = tmp_path / "lr=0.1" / "clip", tmp_path / "lr=0.1" / "clip.h5"
    folder.mkdir(parents=True)
    store.touch()
    for source in (str(folder), str(store)):
        for text, name in ((source, "clip"), (f"a={source}", "a"), (f"a=b={source}", "a=b")):
            encoder = NamedEncoder.parse(text)
            assert (encoder.name, encoder.source) == (name, source)
    random = NamedEncoder.parse(f"a={folder}:random")
    assert (random.name, random.source, random.random_weights) == ("a", str(folder), True)
    assert NamedEncoder.parse("a=b=house_clip").name == "a=b"


def test_encoders_without_a_name_may_be_in_any_folder(tiny_resnet, tmp_path):
    folder = tmp_path / "a=b"
    folder.symlink_to(tiny_resnet)
    encoder = NamedEncoder.parse_unnamed(str(folder)).load(device="cpu")
    prefixed = NamedEncoder.parse_unnamed(f"local-dir:{folder}").load(device="cpu")
    assert prefixed.weights_sha256 == encoder.weights_sha256
    random = NamedEncoder.parse_unnamed(f"{folder}:random").load(device="cpu")
    assert random.weights_sha256 != encoder.weights_sha256


def test_feature_stores_encode_no_pictures():
    with pytest.raises(ValueError, match=r"mine\.h5: a feature store cannot encode pictures"):
        NamedEncoder.parse_unnamed("mine.h5").load()
