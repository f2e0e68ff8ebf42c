"""The two versions on trial. Any scikit-learn classifiers will do: change them and train again."""

from sklearn.svm import SVC

BASELINE = SVC()  # v1, in service
CANDIDATE = SVC()  # v2: the same again
