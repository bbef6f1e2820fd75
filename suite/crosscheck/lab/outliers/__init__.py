"""Classifiers that are taught about outliers, and how well they detect them."""
