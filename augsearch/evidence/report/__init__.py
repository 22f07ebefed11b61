"""The report: one HTML file that holds a run's table, figures and origin, and asks for nothing from anywhere.

`evidence` says what a report is made of, `importance` which operations matter, `charts` draws (with `svg`),
`figures` makes this run's figures, `page` sets them in `page.html`.
"""
