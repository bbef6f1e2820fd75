"""What measures, for studies alone: a module a kind of measurement.

`descent` watches gradient descent, `independence` what independent outputs cost, `posteriors` and
`variational` Bayes' rule on linear models and on logits, `risk` losses in expectation, `scores` held-out
predictions; `outliers` and `photographs` are rooms of their own.
"""
