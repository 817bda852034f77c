"""`show`: draws what the trainer is really fed, as a montage."""

from pathlib import Path

from iid_jax import config_file
from iid_jax.flags import Parser


def main(argv: list[str]) -> int:
    """Writes a montage of training samples: genuine, manipulated, mask, result with its boxes."""
    parser = Parser("show", "Draw genuine | manipulated | mask | result of training samples.")
    parser.add_argument("--config", default="configs/quickstart.py", help="config file[:arguments]")
    parser.add_argument("--out", required=True, help="picture to write, .png")
    parser.add_argument("--count", type=int, default=24, help="samples to draw")
    parser.add_argument("--seed", type=int, default=None, help="in place of the config's seed")
    parser.add_data_dir()
    parser.add_quiet()
    flags = parser.parse(argv)
    config = config_file.load(flags.config, flags.overrides)

    from iid_jax import plots
    from iid_jax.data import builder, people, sampler, samples
    from iid_jax.models import detector

    name = people.data_name(config.data)
    catalog = builder.ensure(name, flags.data_dir, quiet=flags.quiet)
    _, spec, _ = detector.build_detector(config.model)
    seed = config.seed if flags.seed is None else flags.seed
    draws = sampler.Sampler(catalog, config.data, 2, flags.count, seed)
    maker = samples.SampleMaker(catalog, config.data, spec, detector.feature_side(config.model))
    chosen = [maker.sample(draws[2 * i]) for i in range(flags.count)]
    figure = plots.montage(chosen, maker, config.loss)
    figure.savefig(Path(flags.out), dpi=100)
    print(f"{flags.out}: {flags.count} training samples of {name}")
    return 0
