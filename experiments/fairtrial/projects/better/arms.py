"""The two versions on trial. Any scikit-learn classifiers will do: change them and train again."""

from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

BASELINE = DecisionTreeClassifier(random_state=0)  # v1, in service
CANDIDATE = SVC()  # v2: right far more often, and hardly slower
