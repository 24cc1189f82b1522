"""Which networks a training reads, by its flags."""

import pytest

from facedancer.errors import InputError
from facedancer.models import load_discriminator, load_generator
from facedancer.models.families.mobile_fsgan.config import MobileGeneratorConfig
from facedancer.models.families.mobile_fsgan.generator import MobileFSGANGenerator
from facedancer.storage import weights
from facedancer.train import assembly, loading
from tests import testing
from tests.train import tiny
from tests.train.program import ProgramTestCase, settings


class NetworksTest(ProgramTestCase):
    @pytest.mark.slow
    def test_packaged_encoder_where_none_is_given(self):
        networks = loading.load_networks(settings(*self.words("--arcface_path=")))
        told = networks.structures["generator"].encoder
        self.assertEqual(told, "mobilefacenet@4f8bba57")

    @pytest.mark.slow
    def test_the_packaged_parser_judges_where_no_network_is_given(self):
        for words, sides in (((), None), (("--projected_lambda=2",), [8, 4, 2, 1])):
            features = loading.load_networks(
                settings(*self.words(*words))
            ).frozen.features
            found = features and [shape[0] for shape in features.shapes]
            self.assertEqual(found, sides)

    @pytest.mark.slow
    def test_fine_tuning_a_published_pair(self):
        published = testing.shared("interop", "tf215")
        wide = self.folder / "wide.keras"
        tiny.small_mobilefacenet(512).save(wide)
        words = (
            f"--init_generator={published / 'gen_small_C.h5'}",
            f"--init_discriminator={published / 'disc_small.h5'}",
            "--image_size=64",
        )
        config = settings(*self.words(f"--arcface_path={wide}", "--ema=0.9", *words))
        networks = loading.load_networks(config)
        step = assembly.build_step(config, networks, assembly.make_driver(config))
        generator = load_generator(published / "gen_small_C.h5")
        discriminator = load_discriminator(published / "disc_small.h5")
        for made, wanted in (
            (step.state.networks["generator"], generator),
            (step.state.averages["generator"], generator),
            (step.state.networks["discriminator"], discriminator),
        ):
            self.assert_close(made.get_weights(), wanted.get_weights())
        self.assertStartsWith(
            networks.structures["generator"].encoder, "mobilefacenet@"
        )
        with self.assertRaisesRegex(InputError, "vectors of 512, the encoder gives 8"):
            loading.load_networks(settings(*self.words(*words)))

    @pytest.mark.slow
    def test_a_generator_goes_on_at_another_size(self):
        own = weights.find("generator")
        words = (f"--init_generator={own}", "--image_size=64")
        config = settings(*self.words("--arcface_path=", *words))
        networks = loading.load_networks(config)
        step = assembly.build_step(config, networks, assembly.make_driver(config))
        made = step.state.networks["generator"]
        self.assertEqual(networks.contract.image.size, 64)
        self.assertEqual(made.config.image_size, 64)
        self.assert_close(made.get_weights(), load_generator(own).get_weights())
        words = self.words("--arcface_path=", words[0], "--image_size=50")
        with self.assertRaisesRegex(InputError, "of 96 pixels cannot go on .* of 50"):
            loading.load_networks(settings(*words))

    @pytest.mark.slow
    def test_networks_of_another_system_are_not_fine_tuned(self):
        other = self.folder / "other.keras"
        small = MobileGeneratorConfig(image_size=32, width=6, stages=4, identity_size=8)
        MobileFSGANGenerator(small).save(other)
        own = weights.find("generator")
        for system, path, message in (
            (
                "facedancer",
                other,
                "of MobileFSGAN; --system=facedancer .*FaceDancer",
            ),
            ("mobile_fsgan", own, "of FaceDancer; --system=mobile_fsgan .*MobileFSGAN"),
        ):
            words = self.words(f"--system={system}", f"--init_generator={path}")
            with self.assertRaisesRegex(InputError, f"{path.name}: .*{message}"):
                loading.load_networks(settings(*words))
