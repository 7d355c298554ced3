def test_the_page_server_is_compared_with_an_echo_server(figures_of):
    figures = figures_of("page_server")
    assert figures["request over a keep-alive connection"]["value"] > 0
    assert figures["request relative to echo"]["value"] > 0
    assert figures["5 simultaneous connections"]["value"] > 0
