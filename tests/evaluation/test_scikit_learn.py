"""What scikit-learn was imported without is there for those who ask for it."""

import pytest

from tests.helpers import found_by


@pytest.mark.slow
def test_statistics_and_pandas_are_there_when_they_are_asked_for() -> None:
    code = """
import sys
import numpy as np
from container_component_src.evaluation.scikit_learn import PCA, IsolationForest
values = np.arange(12.0).reshape(6, 2) ** 2
IsolationForest(random_state=0).fit(values).score_samples(values)
PCA(1).fit(values)
unused = ("pandas", "scipy.stats._stats_py", "scipy.spatial.transform._rotation", "numpy.f2py.f2py2e")
found = [[name for name in unused if name in sys.modules]]
from sklearn.covariance import MinCovDet
from sklearn.metrics import roc_auc_score
import pandas
from scipy.stats import chi2, genpareto
found += [roc_auc_score([0, 1, 1], [1, 2, 3]), round(chi2.ppf(0.5, 2), 4), genpareto.sf(0, 1)]
values = np.random.default_rng(0).normal(size=(40, 2))
found.append(bool((MinCovDet(random_state=0).fit(values).dist_ >= 0).all()))
from sklearn.cluster import DBSCAN
from sklearn.linear_model import LogisticRegression
positive = values[:, 0] > 0
found += [DBSCAN().fit(values).n_features_in_, LogisticRegression(C=1e6).fit(values, positive).score(values, positive)]
from scipy.spatial.transform import Rotation
found += [Rotation.identity().magnitude() + 1, np.f2py.get_include().split("/")[-2]]
"""
    assert found_by(code) == [[], 1.0, 1.3863, 1.0, True, 2, 1.0, 1.0, "f2py"]
