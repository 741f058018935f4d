"""A model that transforms, for the API tests."""

HOOK = '''
"""Does what the first cell of a column `action` says; else doubles the samples and raises the target by one."""

import pandas as pd
from scipy import sparse

from datarobot_drum.drum.exceptions import CustomHTTPError


def transform(X, y, transformer):
    action = str(X["action"].iloc[0]) if "action" in X else "double"
    return ACTIONS[action](X, y)


def double(X, y):
    return X * 2, None if y is None else y + 1


def raise_it(error):
    def fail(X, y):
        raise error

    return fail


ACTIONS = {
    "double": double,
    "same": lambda X, y: X,
    "columns": lambda X, y: X.drop(columns="action"),
    "array": lambda X, y: X.drop(columns="action").to_numpy(),
    "twice": lambda X, y: pd.concat([X, X], axis=1),
    "sparse": lambda X, y: sparse.csr_matrix(X.drop(columns="action").to_numpy(dtype=float)),
    "sparse-frame": lambda X, y: X[["a"]].rename(columns={"a": "größe, 日本\\n"}).astype(pd.SparseDtype(float, 0)),
    "pair": lambda X, y: (X, y.to_numpy() * 2),
    "short": lambda X, y: X[1:],
    "short-y": lambda X, y: (X, y[1:]),
    "none": lambda X, y: None,
    "triple": lambda X, y: (X, y, X),
    "text": lambda X, y: "text",
    "raise": raise_it(ValueError("the model said no")),
    "teapot": raise_it(CustomHTTPError("short and stout", 418)),
}
'''
