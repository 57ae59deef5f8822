"""Throw-away worlds: network namespaces, links and the hops that lose checksums, with real programs in them."""
