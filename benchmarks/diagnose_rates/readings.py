"""What reading the repaired versions that have a ✗ showed: "true", the fault is there, or "false alarm".

A reading is an opinion of whoever read the script, with its reason; nothing is counted by it but itself.
"""

from __future__ import annotations

OF_NUMBERS = "A regression under squared errors, with metrics=['accuracy']."
OF_SEVERAL = (
    "Several labels at once on sigmoids, with metrics=['accuracy']: the largest of each row is compared."
)

# (collection, id): (what it is, why)
READINGS: dict[tuple[str, str], tuple[str, str]] = {
    ("DeepLocalize", "StackOverflow/33969059/33969059"): ("true", OF_NUMBERS),
    ("DeepLocalize", "StackOverflow/38648195/38648195"): ("true", OF_SEVERAL),
    ("DeepLocalize", "StackOverflow/39217567/39217567"): ("true", OF_SEVERAL),
    ("DeepLocalize", "StackOverflow/48221692/untitled26"): ("true", OF_NUMBERS),
    ("DeepLocalize", "StackOverflow/48251943/48251943"): (
        "true",
        "Eight of 17 targets lie outside −1 … 1, which is all that the head's tanh can give.",
    ),
    ("BenchDL4Real", "DeepLocalize/48221692"): ("true", OF_NUMBERS),
    ("BenchDL4Real", "Defects4ML/073/script"): ("true", OF_NUMBERS),
    ("BenchDL4Real", "SFData/s38584268"): (
        "true",
        "Dense(50) without activation under categorical_crossentropy, which reads probabilities.",
    ),
    ("BenchDL4Real", "SFData/s50364194"): (
        "true",
        "One number a row beside 54 units, under absolute errors: every unit is trained on the same number.",
    ),
    ("BenchDL4Real", "SFData/s62300118"): (
        "true",
        "Inputs and labels are zeros, in place of data that the question does not give.",
    ),
    ("BenchDL4Real", "SFData/s63859629"): (
        "true",
        "Word numbers from 0 to 9 as the labels of a softmax of 6 units, in place of one-hot rows.",
    ),
}
