"""The viewer's pages: server, routes, export, walks by hand."""
