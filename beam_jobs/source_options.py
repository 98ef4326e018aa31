"""The options that say what a dataset is built from, light enough for `tfcap verify --help`."""

import argparse


def add_source_options(parser: argparse._ActionsContainer, required: bool) -> None:
    """Add the options of pictures, captions and splits to a parser or a group of one."""
    add = parser.add_argument
    add(
        "--images",
        required=required,
        metavar="PATH",
        help="directory, .zip or .tar of the pictures",
    )
    add(
        "--captions",
        required=required,
        metavar="FILE",
        help="Kaggle's captions.txt, Flickr8k.token.txt, Karpathy's dataset_*.json, COCO's "
        "captions_*.json, a CSV or TSV file with a header, or JSONL",
    )
    add(
        "--splits",
        required=required,
        metavar="SPLITS",
        help="directory of Flickr_8k.*Images.txt; or 'source': as the captions file says; or "
        "ratios like train=0.9,val=0.1: by a stable hash of the picture's name",
    )
    for what in ("image", "caption", "split"):
        add(
            f"--{what}-column",
            default=what,
            metavar="NAME",
            help=f"column or field of the {what} (default: %(default)s)",
        )
