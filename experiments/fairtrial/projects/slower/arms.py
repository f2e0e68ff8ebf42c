"""The two versions on trial. Any scikit-learn classifiers will do: change them and train again."""

from data import LOST
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

# v1, in service: a lost pixel is taken to be as bright as it is on average.
BASELINE = make_pipeline(SimpleImputer(missing_values=LOST), SVC())

# v2: a lost pixel is looked up in the most similar scans. No better, and slow on the few rows that have one.
CANDIDATE = make_pipeline(KNNImputer(missing_values=LOST), SVC())
