"""The dashboard in a real browser: the study, a trial's note with its pictures, and a trial's table."""

from __future__ import annotations

import pytest
from browser import CHROMIUM, browser


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_finds_the_study_and_a_trials_files(served, tmp_path):
    with browser(tmp_path / "profile") as tab:
        tab.open(f"{served.base}/dashboard")
        tab.wait_for("document.body && document.body.innerText.includes('fake')")
        tab.open(f"{served.base}/dashboard/studies/1/trials?numbers=1")
        tab.wait_for("document.body && document.body.innerText.includes('place 1 of 2 completed trials')")
        # the picture in the note and the one among the artifacts, loaded and not broken
        pictures = "[...document.images].filter(i => i.src.endsWith('/equity.svg') && i.naturalWidth > 0).length"
        assert tab.wait_for(pictures) >= 1
        tab.wait_for("document.body.innerText.includes('learning_curve.csv')")
        assert tab.value("fetch('/artifacts/1/2/learning_curve.csv').then(answer => answer.text())").startswith(
            "update,env_steps,seconds,"
        )
        assert tab.complaints == []
