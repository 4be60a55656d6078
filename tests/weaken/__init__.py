"""Weakens one control after the other, on a copy, and expects a test to notice each time.

A test that has never failed proves little. `make weaken` makes every test that a control rests on fail once, by taking
that control away; `controls.toml` says how, and which test has to notice. A test notices by saying so itself: code that
does not build, a test that is not there or a crash of the weakened code count as not caught.
"""
