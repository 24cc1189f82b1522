"""What tests of signing share: a user's configuration folder."""

import os
from unittest import mock

from facedancer.video_swap.provenance import labels
from tests import testing


class Installation(testing.TestCase):
    """A test with a configuration folder of its own."""

    def setUp(self):
        super().setUp()
        self.folder = self.tempdir()
        home = mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(self.folder / "c")})
        home.start()
        self.addCleanup(home.stop)

    def labeller(self, **settings):
        return labels.Labeller(labels.LabelSettings(**settings))
