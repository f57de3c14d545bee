"""The dashboard in a real browser: the study, a trial's note with its pictures, a trial's table, and the login."""

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


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_person_logs_in_looks_and_logs_out(guarded, tmp_path):
    with browser(tmp_path / "profile") as tab:
        tab.open(f"{guarded.base}/dashboard/studies/1/trials?numbers=1")
        for token, seen in (("wrong", "This is not the token."), (guarded.token, "place 1 of 2 completed trials")):
            tab.wait_for("document.querySelector('input[name=token]') !== null")
            tab.value(f"document.querySelector('input[name=token]').value = {token!r}")
            tab.value("void document.querySelector('button').click()")
            tab.wait_for(f"document.body && document.body.innerText.includes({seen!r})")
        # the target was kept, pictures come with the cookie, and no script can read that
        assert tab.value("location.pathname + location.search") == "/dashboard/studies/1/trials?numbers=1"
        tab.wait_for("[...document.images].some(i => i.src.endsWith('/equity.svg') && i.naturalWidth > 0)")
        assert tab.value("document.cookie") == ""
        complaints = [line for line in tab.complaints if "401" not in line]  # the form's own status
        assert complaints == []
        refused = "fetch('/api/studies/1', {method: 'DELETE'}).then(answer => answer.status)"
        assert tab.value(refused) == 403
        tab.open(f"{guarded.base}/login")
        tab.wait_for("document.querySelector('button.plain') !== null")
        tab.value("void document.querySelector('button.plain').click()")
        tab.wait_for("document.querySelector('input[name=token]') !== null")
        tab.open(f"{guarded.base}/dashboard")
        tab.wait_for("location.pathname === '/dashboard' && document.querySelector('input[name=token]') !== null")
