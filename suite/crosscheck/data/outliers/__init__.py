"""Outliers of many kinds, and who plays which role in their detection.

`kinds` makes outliers from images, `casts` gives sets of all shapes their roles, `colour` photographs.
"""

from crosscheck.data.outliers.casts import CASTS, Cast, Roles, family, roles
from crosscheck.data.outliers.colour import PHOTOGRAPHS, Photographs, photographs, photographs_read
from crosscheck.data.outliers.kinds import FAMILIES, MAKERS, make_outliers, pooled

__all__ = [
    "CASTS",
    "FAMILIES",
    "MAKERS",
    "PHOTOGRAPHS",
    "Cast",
    "Photographs",
    "Roles",
    "family",
    "make_outliers",
    "photographs",
    "photographs_read",
    "pooled",
    "roles",
]
