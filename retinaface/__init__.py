"""Photo -> `Faces`: the network, its anchors, the detectors."""
