"""The command `augsearch`: policies in, out and seen.

    augsearch policy import pba_rcifar10_16_wrn.txt --from pba -o policy.json
    augsearch policy export policy.json --to torchvision -o policy.py
    augsearch policy show policy.json --images folder -o policy.png

Whatever the user can put right ends it with one line and exit code 2. No file is overwritten without --force.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from augsearch.errors import AugsearchError, PolicyError
from augsearch.policy import Augmentation, Chain, Schedule, load_policy, save
from augsearch.policy.exchange import EXPORTERS, IMPORTERS, Options, export, fast_autoaugment
from augsearch.policy.image_files import load_images
from augsearch.policy.pictures import example_images, picture

_EXTRA = ("matplotlib", "torchvision")  # packages that the core does without
_NOTES = {"fast-autoaugment": fast_autoaugment.NOTE}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    sys.path.insert(0, os.getcwd())  # where a user's own operations lie, as for `python -m`
    options = _parser().parse_args(arguments)
    try:
        for line in options.run(options):
            print(line)
    except AugsearchError as error:
        message = str(error)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        message = f"this needs {package}: pip install 'augsearch[pipeline]'"
    except OSError as error:  # a folder in place of a file, no permission, no room
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    else:
        return 0
    print(f"augsearch: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="augsearch", description="Image augmentation policies: import, export, show.")
    policy = parser.add_subparsers(required=True, metavar="policy").add_parser("policy", help="import, export, show")
    actions = policy.add_subparsers(required=True, metavar="import | export | show")

    importing = actions.add_parser("import", help="read another project's policy")
    importing.add_argument("source", help="a file; for autoaugment cifar10, svhn or imagenet; for randaugment N,M; else wide")
    importing.add_argument("--from", dest="kind", choices=IMPORTERS, required=True)
    importing.add_argument("--epochs", type=_positive, help="pba: stretch the schedule to so many epochs")
    importing.add_argument("--search-epochs", type=_positive, help="pba: how long its search trained (200; SVHN: 160)")
    importing.add_argument("--trial", help="pba: the trial to follow in a log of all trials (pbt_global.txt)")
    importing.add_argument("--size", type=_positive, default=32, help="side of the images, for translations in parts of it")
    importing.set_defaults(run=_import)

    exporting = actions.add_parser("export", help="write a module that runs without augsearch")
    exporting.add_argument("file", help="a policy file")
    exporting.add_argument("--to", dest="target", choices=EXPORTERS, required=True)
    exporting.set_defaults(run=_export)

    showing = actions.add_parser("show", help="draw what a policy does to images")
    showing.add_argument("file", help="a policy file")
    showing.add_argument("--images", help="a folder of pictures, a picture, or an .npz file with train_images")
    showing.add_argument("--columns", type=_positive, default=8, help="draws of each sub-policy")
    showing.add_argument("--seed", type=int, default=0)
    showing.set_defaults(run=_show)

    for action in (importing, exporting, showing):
        action.add_argument("-o", "--output", type=Path, required=True)
        action.add_argument("--force", action="store_true", help="overwrite the output")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; must be a whole number, at least 1")
    return int(text)


def _import(options: argparse.Namespace) -> list[str]:
    output = _free(options)
    item = IMPORTERS[options.kind](options.source, _options(options))
    save(item, output)
    return [f"{output}: {_size(item)}", *([_NOTES[options.kind]] if options.kind in _NOTES else [])]


def _options(options: argparse.Namespace) -> Options:
    """The options of an import; one that does not apply to it is refused."""
    pba = {"epochs": options.epochs, "search_epochs": options.search_epochs, "trial": options.trial}
    given = {name: value for name, value in pba.items() if value is not None}
    if given and options.kind != "pba":
        raise PolicyError(f"--{next(iter(given)).replace('_', '-')}: is for --from pba, not for --from {options.kind}")
    return Options(size=(options.size, options.size), **given)


def _export(options: argparse.Namespace) -> list[str]:
    output = _free(options)
    lines = export(load_policy(options.file), options.target, output)
    return [f"{output}: {options.target}, class Augment", *lines]


def _show(options: argparse.Namespace) -> list[str]:
    output = _free(options)
    if output.suffix.lower() != ".png":
        raise PolicyError(f"{output}: must end in .png")
    item = load_policy(options.file)
    images, notes = example_images(options.columns), list[str]()
    if options.images:
        images, notes = load_images(Path(options.images), options.columns)
    output.parent.mkdir(parents=True, exist_ok=True)
    picture(item, images, columns=options.columns, seed=options.seed).save(output, optimize=True)
    return [f"{output}: {_size(item)}", *notes]


def _free(options: argparse.Namespace) -> Path:
    """The output's path; refused where a file lies there already."""
    output: Path = options.output
    if output.exists() and not options.force:
        raise PolicyError(f"{output}: exists already; give another name, or --force to overwrite it")
    return output


def _size(item: Augmentation) -> str:
    if isinstance(item, Chain):
        return ", then ".join(_size(part) for part in item.parts)
    if isinstance(item, Schedule):
        return f"a schedule of {len(item.segments)} policies over {item.epochs} epochs"
    return f"a policy of {len(item.sub_policies)} sub-policies, dialect {item.dialect}, drawn by {item.draw}"


if __name__ == "__main__":
    sys.exit(main())
