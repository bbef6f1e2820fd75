# What `crosscheck.lazy` hands out: its one list, read by type checkers and by `lazy.py` itself.
import keras as keras
import pandas
from scipy import optimize as optimize
from scipy import special as special
from sklearn import linear_model as linear_model

from crosscheck import autodiff as autodiff
from crosscheck import calibration as calibration
from crosscheck import callbacks as callbacks
from crosscheck import data as data
from crosscheck import detection as detection
from crosscheck import doctor as doctor
from crosscheck import information as information
from crosscheck import losses as losses
from crosscheck import metrics as metrics
from crosscheck import models as models
from crosscheck import optimizers as optimizers
from crosscheck import paths as paths
from crosscheck import regularizers as regularizers
from crosscheck import replicates as replicates
from crosscheck.claims import rows as rows
from crosscheck.lab import binning as binning
from crosscheck.lab import concentration as concentration
from crosscheck.lab import contests as contests
from crosscheck.lab import descent as descent
from crosscheck.lab import distances as distances
from crosscheck.lab import gap_panels as gap_panels
from crosscheck.lab import independence as independence
from crosscheck.lab import label_counts as label_counts
from crosscheck.lab import landscape as landscape
from crosscheck.lab import log_odds as log_odds
from crosscheck.lab import multilabel as multilabel
from crosscheck.lab import optima as optima
from crosscheck.lab import overtraining as overtraining
from crosscheck.lab import penalties as penalties
from crosscheck.lab import pointwise as pointwise
from crosscheck.lab import posteriors as posteriors
from crosscheck.lab import risk as risk
from crosscheck.lab import scores as scores
from crosscheck.lab import smoothing as smoothing
from crosscheck.lab import speed as speed
from crosscheck.lab import standings as standings
from crosscheck.lab import steps as steps
from crosscheck.lab import trajectories as trajectories
from crosscheck.lab import variational as variational
from crosscheck.lab.outliers import detecting as detecting
from crosscheck.lab.outliers import exposure as exposure
from crosscheck.lab.outliers import panels as panels
from crosscheck.lab.photographs import checkpoints as checkpoints
from crosscheck.lab.photographs import image_training as image_training
from crosscheck.models import wide_resnet as wide_resnet
from crosscheck.paths import heads as heads
from crosscheck.paths import probing as probing
from crosscheck.report import figures as figures

pd = pandas

def modules() -> dict[str, str]: ...
