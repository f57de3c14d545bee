"""`plots`: the plots of a study and its report, drawn again from the database."""

from __future__ import annotations

import argparse

from fxai.errors import InputError
from fxai.files import ensure_writable_dir
from fxai.report.talk import say
from fxai.report.text import count
from fxai.study.names import checked_name
from fxai.study.recorded import recorded_spec


def plots_command(args: argparse.Namespace) -> int:
    """Write every plot of a study and report.html anew; prints their paths."""
    from fxai.report.insights import write_insights
    from fxai.report.page import write_report
    from fxai.report.plots import write_plots
    from fxai.study.database.storage import load_study, opened

    with opened(args.storage, readonly=True) as storage:
        study = load_study(storage, args.study)
        spec = recorded_spec(study, args.storage)
        folder = args.results_dir / checked_name(spec.study_name, "study")
        if not study.get_trials(deepcopy=False):
            raise InputError(
                f"study {spec.study_name} has no trials yet",
                where=args.study,
                hint="run it: poe optuna-run --spec FILE",
            )
        ensure_writable_dir(folder)
        write_insights(study, spec, folder)
        paths = [*write_plots(study, spec, folder), write_report(study, spec, folder)]
    say(f"{spec.study_name}: {count(len(paths), 'page')} drawn from the database; open them in a browser")
    for path in paths:
        print(path)
    return 0
