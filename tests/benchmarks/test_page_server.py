def test_the_page_server_is_measured_beside_one_that_sends_bytes_back(figures_of):
    figures = figures_of("page_server")
    assert figures["request over a kept connection"]["value"] > 0
    assert figures["request to sending back"]["value"] > 0
    assert figures["5 connections opened at once"]["value"] > 0
