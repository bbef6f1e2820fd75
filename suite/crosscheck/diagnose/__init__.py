"""What is wrong with a training program? Exact checks, then seconds of training, each with its error rate."""

from crosscheck.diagnose._callback import Diagnose
from crosscheck.diagnose._diagnose import diagnose, examine
from crosscheck.diagnose._findings import Finding, Findings
from crosscheck.diagnose._program import Data, Program

__all__ = ["Data", "Diagnose", "Finding", "Findings", "Program", "diagnose", "examine"]
