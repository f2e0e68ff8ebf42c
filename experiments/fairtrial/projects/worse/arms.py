"""The two versions on trial. Any scikit-learn classifiers will do: change them and train again."""

from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC

BASELINE = SVC()  # v1, in service
CANDIDATE = GaussianNB()  # v2: simpler, and wrong more often
