"""The report: one HTML file that holds a run's table, figures and origin, and asks for nothing from anywhere.

`evidence` says what a report is made of, `charts` which figures it has, `sections` what it says, `page` sets it.
"""
