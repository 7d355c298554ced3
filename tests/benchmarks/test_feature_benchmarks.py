def test_encoding_reports_every_precision_with_its_cosine(figures_of):
    found = figures_of("encoding")
    for precision in ("open_clip fp32", "fp32", "medium", "bf16"):
        assert found[f"house_clip: {precision}"]["value"] > 0
        assert found[f"house_clip: {precision}, smallest cosine"]["reached"]
    whole = found["whole extraction of house_00"]["value"]
    assert found["whole extraction of house_00, images"]["value"] == 36 * whole > 0
    for part in ("rendering", "cutting views"):
        assert found[f"whole extraction of house_00: {part}"]["value"] > 0


def test_store_reports_reads_of_every_kind(figures_of):
    found = figures_of("store")
    for kind in (
        "store, float16",
        "store in shards, as float32",
        "HDF5 by keys, kept open",
        "HDF5 by keys, opened anew for each",
    ):
        assert found[f"64 viewpoints, {kind}"]["value"] > 0
