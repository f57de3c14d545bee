"""`best`: the best trial of a study, printed and exported."""

from __future__ import annotations

import argparse

from fxai.report.results import write_results
from fxai.report.summary import print_best
from fxai.study.fingerprint import recorded_spec
from fxai.study.names import checked_name
from fxai.study.storage import load_study, opened


def best_command(args: argparse.Namespace) -> int:
    """Print the best trial of a study and write best_params.json, results and best config."""
    with opened(args.storage, readonly=True) as storage:
        study = load_study(storage, args.study)
        spec = recorded_spec(study, args.storage)
        folder = args.results_dir / checked_name(spec.study_name, "study")
        write_results(study, spec, folder)
        print_best(study, spec, folder)
    return 0
