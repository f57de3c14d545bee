"""The style sheet of report.html, on top of the one that all pages share."""

STYLE = """
nav { position: sticky; top: 0; background: var(--page); padding: .4rem 0; border-bottom: 1px solid var(--line);
      z-index: 5; line-height: 1.8; }
nav a { color: var(--blue); text-decoration: none; white-space: nowrap; }
section { scroll-margin-top: 4rem; }
.lead { font-size: 1.15rem; max-width: 60rem; }
.finding { border-left: .25rem solid var(--blue); padding-left: .8rem; }
.finding.warn { border-left-color: #d55e00; }
.finding em { color: var(--soft); font-style: normal; }
code, pre { font: .875em ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; border: 1px solid var(--line); border-radius: .3rem; padding: .5rem .8rem;
      margin: .4rem 0; }
.soft { color: var(--soft); }
.changed { font-weight: 600; }
.bar { display: inline-block; width: 5rem; height: .6rem; background: var(--line); border-radius: .2rem; }
.bar i { display: block; height: 100%; background: var(--blue); border-radius: .2rem; }
td.share { text-align: left; }
.tall { max-height: 36rem; overflow: auto; }
.tall thead { position: sticky; top: 0; background: var(--page); }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
tr.best td { font-weight: 600; }
tr.default td { color: #d55e00; }
#about-provenance :is(th, td) { text-align: left; white-space: normal; overflow-wrap: anywhere; }
@media print {
  nav { display: none; }
  body { max-width: none; font-size: 11px; margin: 0; }
  section, .figure, tr { break-inside: avoid-page; }
  .scroll, .tall { overflow: visible; max-height: none; }
}
"""
