"""The two versions on trial. Any scikit-learn classifiers will do: change them and train again."""

from sklearn.ensemble import BaggingClassifier
from sklearn.svm import SVC

BASELINE = SVC()  # v1, in service
CANDIDATE = BaggingClassifier(SVC(), n_estimators=10, random_state=0)  # v2: ten of them are no better
