"""Draw pictures or clips for prompts of your own, as the weights have it: pictures.py, clips.py."""

import argparse
import sys
from collections.abc import Sequence

from experiments.sample import clips, pictures
from experiments.sample.places import weights_refused


def weights(arguments: Sequence[str]) -> str:
    """The one name after --weights; "" for several, or for a command line that has none."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--weights", default="")
    try:
        return str(early.parse_known_args(arguments)[0].weights)
    except argparse.ArgumentError:
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the files are there, 2 for a bad command line, 1 for weights that cannot serve."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = weights(given)
    there = name and weights_refused(name) is None
    folder = clips.folder_of(name) if there else None
    return pictures.main(given) if folder is None else clips.main(given, folder)


if __name__ == "__main__":
    sys.exit(main())
