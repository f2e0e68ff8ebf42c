"""Requests that no model with these columns takes, for the tests of formats whose inputs are columns."""

from __future__ import annotations


def tensor(name, datatype, data, shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def columns_gone_wrong(good: dict[str, tuple[str, list]], number: str, text: str):
    """Case -> inputs. `good`: a request of one row by column; `number`, `text`: two of its columns."""

    def changed(name, **to):
        return [{**tensor(each, *good[each]), **(to if each == name else {})} for each in good]

    right = changed("")
    return {
        "no inputs": [],
        "one column only": right[:1],
        "all columns but one": right[:-1],
        "a column of another name": [{**right[0], "name": "other"}, *right[1:]],
        "a column too many": [*right, tensor("more", "FP64", [1.0])],
        "a column twice": [*right, right[0]],
        "a text for a number": changed(number, datatype="BYTES", data=["a"]),
        "a text called a number": changed(number, data=["a"]),
        "a number for a text": changed(text, datatype="FP64", data=[1.0]),
        "a number called a text": changed(text, data=[1]),
        "a boolean for a number": changed(number, data=[True]),
        "an object": changed(number, data=[{}]),
        "a list": changed(number, data=[[[1.0]]]),
        "more rows in one": changed(number, data=[1.0, 2.0], shape=[2]),
        "shape that does not fit": changed(number, shape=[2]),
        "two axes": changed(number, data=[1.0, 2.0], shape=[1, 2]),
        "an empty batch": changed(number, data=[], shape=[0]),
        "negative size": changed(number, shape=[-1]),
        "no such datatype": changed(number, datatype="FP128"),
        "no shape": [{key: value for key, value in right[0].items() if key != "shape"}, *right[1:]],
        "a number that is not whole": changed(number, datatype="INT32", data=[0.5]),
        "all nulls": changed(text, data=[None, None], shape=[1]),
    }
